"""Where quotes in a CSV text go wrong, and how far the damage reaches.

CSV parsers read a quote that is never closed as one value up to the next quote, or to the end of the file, without a
word. Here such records are found and set aside, so that one stray quote costs one record. Fields are not parsed here.
"""

import functools
import re

import numpy as np

_LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\r|\n|\Z)")
_LINE_END = rb"(?:\r\n|\r|\n|\Z)"
_QUOTE = ord('"')
_STEP = 1 << 24
_MOST_EVIDENCE = 20
_LEAST_EVIDENCE = 3


def line_at(text: bytes, start: int) -> bytes:
    """Return the physical line that begins at `start`, with its line end."""
    line = _LINE.match(text, start)
    return line.group() if line else b""


def record_at(text: bytes, start: int, delimiter: str) -> bytes | None:
    """Return the record that begins at `start`, with its line end; None where a quote in it is out of place."""
    record = _record(delimiter).match(text, start)
    return record.group() if record else None


def quotes_are_sound(body: bytes, delimiter: str) -> bool:
    """Say whether every quoted field opens after a delimiter or line end and closes before one.

    Counting from the top, even quotes open and odd ones close; a doubled quote is a closing and an opening one side by
    side. Where no field begins with a quote (`5" pipe`), quotes are plain text.
    """
    if b'"' not in body:
        return True
    text = np.frombuffer(body, dtype=np.uint8)
    edge = np.isin(np.arange(256), list(f"{delimiter}\r\n".encode()))
    edge_or_quote = edge | (np.arange(256) == _QUOTE)
    count, is_sound, has_quoted_field = 0, True, False
    for start in range(0, len(text), _STEP):
        places = np.flatnonzero(text[start : start + _STEP] == _QUOTE) + start
        opening, closing = places[count % 2 :: 2], places[1 - count % 2 :: 2]
        opens_well = (opening == 0) | edge_or_quote[text[opening - 1]]
        closes_well = (closing == len(text) - 1) | edge_or_quote[text[np.minimum(closing + 1, len(text) - 1)]]
        is_sound = is_sound and bool(opens_well.all() and closes_well.all())
        has_quoted_field = has_quoted_field or bool(((places == 0) | edge[text[places - 1]]).any())
        count += len(places)
    return (is_sound and count % 2 == 0) or not has_quoted_field


def set_stray_quotes_aside(body: bytes, delimiter: str, width: int) -> tuple[bytes, dict[int, str], int | None]:
    """Take the records with a quote out of place from a body, each by itself.

    Args:
        body: the records after the header.
        delimiter: between fields.
        width: how many fields a record has.

    Returns:
        The body with each such record replaced by a line with one field too many (so that records keep their numbers);
        the raw text of those records by number, the first being 1; and the number of a record whose open quote
        swallows the rest of the file, if there is one.
    """
    stand_in = delimiter.encode() * width + b"\n"
    pieces: list[bytes] = []
    raw: dict[int, str] = {}
    record = _record(delimiter)
    number, start, kept_to, swallows = 0, 0, 0, None
    while start < len(body):
        number += 1
        if match := record.match(body, start):
            start = match.end()
            continue
        end = start + len(line_at(body, start))
        if _is_open(delimiter).match(body, start) and not _goes_on_with_records(body, end, delimiter, width):
            end, swallows = len(body), number
        raw[number] = body[start:end].decode().rstrip("\r\n")
        pieces += [body[kept_to:start], stand_in]
        start = kept_to = end
    return b"".join([*pieces, body[kept_to:]]), raw, swallows


def _goes_on_with_records(body: bytes, start: int, delimiter: str, width: int) -> bool:
    """Tell a stray quote from a long value that the end of the file cut off.

    After a stray quote the next lines are records of the right width, nearly to the end; those of a comment are not.
    """
    full = _full_record(delimiter, width)
    seen = 0
    while seen < _MOST_EVIDENCE and (match := full.match(body, start)):
        start, seen = match.end(), seen + 1
    is_near_end = start + len(line_at(body, start)) == len(body)
    return width >= _LEAST_EVIDENCE and (seen == _MOST_EVIDENCE or (seen >= _LEAST_EVIDENCE and is_near_end))


def _field(delimiter: str) -> bytes:
    edge = re.escape(delimiter.encode())
    return rb'(?:"[^"]*+(?:""[^"]*+)*+"|[^"%b\r\n][^%b\r\n]*+|)' % (edge, edge)


@functools.cache
def _record(delimiter: str) -> re.Pattern[bytes]:
    field = _field(delimiter)
    return re.compile(rb"%b(?:%b%b)*+%b" % (field, re.escape(delimiter.encode()), field, _LINE_END))


@functools.cache
def _full_record(delimiter: str, width: int) -> re.Pattern[bytes]:
    field, edge = _field(delimiter), re.escape(delimiter.encode())
    return re.compile(rb"(?:%b%b){%d}%b(?:\r\n|\r|\n)" % (field, edge, width - 1, field))


@functools.cache
def _is_open(delimiter: str) -> re.Pattern[bytes]:
    field, edge = _field(delimiter), re.escape(delimiter.encode())
    return re.compile(rb'(?:%b%b)*+"[^"]*+(?:""[^"]*+)*+\Z' % (field, edge))
