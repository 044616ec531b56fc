"""Whatever table a program writes as CSV comes back equal, and a file cut off anywhere keeps its complete records."""

import csv
import io
from dataclasses import dataclass

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from retail_platform.landing.csv_file import DELIMITERS, UnreadableFile, read_csv

LATIN = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=("Cc",))
AWKWARD = st.sampled_from([",", ";", "\t", "|", '"', "\n", "\r", "\r\n", " ", "NA", "0", "é"])
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1")


@dataclass(frozen=True)
class WrittenFile:
    header: tuple[str, ...]
    records: list[tuple[str, ...]]
    content: bytes
    delimiter: str
    encoding: str
    ends: list[int]
    """Where each record's text ends in the content, its line end not counted."""

    @property
    def delimiter_to_declare(self) -> str | None:
        """A header of one name shows no delimiter."""
        return self.delimiter if len(self.header) == 1 else None


@st.composite
def written_files(draw: st.DrawFn) -> WrittenFile:
    encoding = draw(st.sampled_from(ENCODINGS))
    letters = LATIN if encoding in {"cp1252", "latin-1"} else st.characters(exclude_categories=("Cs", "Cc"))
    values = st.lists(letters | AWKWARD, max_size=6).map("".join)
    width = draw(st.integers(1, 5))
    records = draw(st.lists(st.tuples(*[values] * width), max_size=8))
    header = tuple(f"name_{letter}" for letter in "abcde"[:width])
    delimiter, line_end = draw(st.sampled_from(DELIMITERS)), draw(st.sampled_from(["\n", "\r", "\r\n"]))
    # Python 3.11 leaves a CR unquoted where the line end is LF: then everything is quoted.
    has_line_end = any(mark in value for record in records for value in record for mark in "\r\n")
    quotes_all = has_line_end or draw(st.booleans())
    text, ends = io.StringIO(newline=""), []
    quoting = csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    for record in [header, *records]:
        writer.writerow(record)
        ends.append(len(text.getvalue().removesuffix(line_end).encode(encoding)))
    content = text.getvalue().encode(encoding)
    return WrittenFile(header, records, content, delimiter, encoding, ends[1:])


def expected_rows(file: WrittenFile, count: int) -> pl.DataFrame:
    """The first records of a file, empty values null; a record without any value is skipped."""
    schema = dict.fromkeys(file.header, pl.String) | {"_row_number": pl.Int64, "_malformed": pl.String}
    rows = [
        (*(value or None for value in record), number, None)
        for number, record in enumerate(file.records[:count], start=2)
        if any(record)
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def is_utf_8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


@settings(deadline=None, max_examples=200)
@given(written_files())
def test_a_written_table_comes_back_equal(file: WrittenFile):
    content = read_csv(file.content, expected=file.header, encoding=file.encoding, delimiter=file.delimiter_to_declare)
    assert_frame_equal(content.rows, expected_rows(file, len(file.records)))
    assert content.header == file.header
    assert content.delimiter == file.delimiter


@settings(deadline=None, max_examples=200)
@given(written_files())
def test_the_encoding_is_found_where_the_bytes_tell_it(file: WrittenFile):
    # Latin-1 says nothing of itself, nor does text in cp1252 that happens to be valid UTF-8.
    assume(
        file.encoding != "latin-1"
        and (file.encoding != "cp1252" or file.content.isascii() or not is_utf_8(file.content))
    )
    assert_frame_equal(
        read_csv(file.content, expected=file.header, delimiter=file.delimiter_to_declare).rows,
        expected_rows(file, len(file.records)),
    )


@settings(deadline=None, max_examples=200)
@given(written_files(), st.data())
def test_a_file_cut_off_anywhere_keeps_every_complete_record(file: WrittenFile, data: st.DataObject):
    cut = data.draw(st.integers(0, len(file.content)), label="cut")
    try:
        content = read_csv(file.content[:cut], expected=file.header, encoding=file.encoding, delimiter=file.delimiter)
    except UnreadableFile:
        assert cut < len(file.content)
        assert not any(end <= cut for end in file.ends)
        return
    complete = sum(end <= cut for end in file.ends)
    if complete:
        kept = content.rows.filter(pl.col("_row_number") < complete + 2)
        assert_frame_equal(kept, expected_rows(file, complete))


@settings(deadline=None, max_examples=200)
@given(
    st.binary(max_size=60) | st.lists(AWKWARD, max_size=40).map(lambda parts: "a,b\n" + "".join(parts)).map(str.encode)
)
def test_nothing_but_an_unreadable_file_is_ever_raised(content: bytes):
    try:
        read_csv(content, expected=())
        rows = read_csv(content, expected=("a",)).rows
    except UnreadableFile:
        return
    assert rows["_row_number"].is_sorted()


SMALL_FILE = b'a,b\r\n"1","x\r\n""y"""\r\n2,z\r\n'


@pytest.mark.parametrize("size", range(3, len(SMALL_FILE) + 1))
def test_no_letter_is_lost_wherever_a_file_is_cut_off(size: int):
    content = SMALL_FILE[:size]
    rows = read_csv(content, expected=("a",)).rows
    # Every letter of the body is either a value or in the raw text of a malformed record.
    kept = "".join("".join(value for value in row if isinstance(value, str)) for row in rows.iter_rows())
    letters = [letter for letter in content.decode().partition("\r\n")[2] if letter.isalnum()]
    assert [letter for letter in kept if letter.isalnum()] == letters
