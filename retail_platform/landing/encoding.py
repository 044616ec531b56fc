"""From the bytes of a drop to UTF-8 text, or a sentence that tells the retailer why that cannot be done.

Only bytes and characters are judged here; what the text means as CSV is the business of `csv_file`.
"""

import codecs
from dataclasses import dataclass

_STEP = 1 << 20
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# In UTF-16 the first byte of a line end: kept as text, it would spoil the complete record before it.
_HALF_A_LINE_END = (b"\n", b"\r", b"\0")
_SAVE_AS_CSV = "open it in a spreadsheet and save it as CSV"
_EXTRACT = "unpack it and drop the CSV file that is inside"
_BINARY_KINDS = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or a zip archive", f"{_SAVE_AS_CSV}, or {_EXTRACT}"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", _SAVE_AS_CSV),
    (b"\x1f\x8b", "compressed with gzip", _EXTRACT),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", _EXTRACT),
    (b"BZh", "compressed with bzip2", _EXTRACT),
    (b"7z\xbc\xaf", "a 7-Zip archive", _EXTRACT),
    (b"%PDF-", "a PDF document", "ask for the data as CSV"),
    (b"PAR1", "a Parquet file", "export it as CSV"),
    (b"\x89PNG", "a PNG picture", "ask for the data as CSV"),
    (b"\xff\xd8\xff", "a JPEG picture", "ask for the data as CSV"),
)


class UnreadableFile(Exception):  # noqa: N818  it names the file's state, as the retailer is told
    """The drop as a whole cannot be read. The message says what is wrong and what to do; the caller names the file."""


@dataclass(frozen=True, kw_only=True)
class DecodedText:
    """The text of a drop: `utf8` without byte order mark, the `encoding` it came in, and remarks."""

    utf8: bytes
    encoding: str
    notes: tuple[str, ...]


def decode(content: bytes, *, declared: str | None = None) -> DecodedText:
    r"""Turn the content of a drop into UTF-8.

    A byte order mark wins, then `declared`, then strict UTF-8, then cp1252, then Latin-1 (which takes any byte).
    A character cut in two by the end of the file does not make a file another encoding: its bytes are kept as `\xNN`.

    Raises:
        UnreadableFile: the file is empty, not text, or not in the declared encoding.
    """
    if not content or content.isspace():
        raise UnreadableFile("the file is empty: ask the sender to deliver it again")
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), None)
    if encoding is None:
        _refuse_binary(content)
    if encoding or declared:
        encoding, cut_off = _decode_strictly(content, encoding or declared or "", is_declared=encoding is None)
    else:
        encoding, cut_off = _detect(content)
    utf8 = _to_utf8(content, encoding, cut_off)
    if b"\0" in utf8:
        raise UnreadableFile(
            "this is not text (it holds NUL bytes), or was damaged on the way: deliver it again as CSV"
        )
    if not utf8 or utf8.isspace():
        raise UnreadableFile("the file is empty but for its byte order mark: ask the sender to deliver it again")
    decoded_as = () if encoding.startswith("utf-8") else (f"decoded as {encoding}",)
    torn = ("the last character is cut off",) if cut_off else ()
    return DecodedText(utf8=utf8, encoding=encoding, notes=(*decoded_as, *torn))


def _refuse_binary(content: bytes) -> None:
    if content.isascii() and b"\0" not in content:
        return
    for magic, kind, advice in _BINARY_KINDS:
        if content.startswith(magic):
            raise UnreadableFile(f"this is {kind}, not a CSV file: {advice}")


def _decode_strictly(content: bytes, encoding: str, *, is_declared: bool) -> tuple[str, bytes]:
    says = "the feed declares" if is_declared else "the byte order mark says"
    advice = "declare the right encoding, or none to have it detected" if is_declared else "save the file as UTF-8"
    try:
        return encoding, _cut_off_bytes(content, encoding)
    except LookupError:
        raise UnreadableFile(f"{says} the encoding {encoding!r}, which is unknown: {advice}") from None
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise UnreadableFile(
            f"{says} the encoding {encoding!r}, but byte {byte:#04x} is not valid in it: {advice}"
        ) from None


def _detect(content: bytes) -> tuple[str, bytes]:
    try:
        cut_off = _cut_off_bytes(content, "utf-8")
    except UnicodeDecodeError:
        pass
    else:
        # An accented last letter of an otherwise plain file looks like half a UTF-8 character.
        if not cut_off or not content[: -len(cut_off)].isascii():
            return "utf-8", cut_off
    try:
        return "cp1252", _cut_off_bytes(content, "cp1252")
    except UnicodeDecodeError:
        return "latin-1", b""


def _cut_off_bytes(content: bytes, encoding: str) -> bytes:
    """Decode strictly, in steps that keep memory small; return the bytes of a last character that is incomplete."""
    decoder = codecs.getincrementaldecoder(encoding)()
    view = memoryview(content)
    for start in range(0, len(view), _STEP):
        decoder.decode(view[start : start + _STEP])
    return decoder.getstate()[0]


def _to_utf8(content: bytes, encoding: str, cut_off: bytes) -> bytes:
    whole = content[: len(content) - len(cut_off)]
    if encoding == "utf-8-sig":
        utf8 = whole.removeprefix(codecs.BOM_UTF8)
    elif codecs.lookup(encoding).name == "utf-8":  # most drops are, and need no way through str
        utf8 = whole
    else:
        utf8 = whole.decode(encoding).encode()
    if cut_off in _HALF_A_LINE_END:
        return utf8
    return utf8 + "".join(f"\\x{byte:02x}" for byte in cut_off).encode()
