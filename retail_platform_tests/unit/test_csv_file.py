"""Given the bytes of a drop, then every record of it, as written."""

import csv
import io
import os
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.landing.csv_file import CsvContent, HeaderMatch, UnreadableFile, match_header, read_csv

AB = ("a", "b")
ABC = ("a", "b", "c")


def rows(names: tuple[str, ...], *records: tuple) -> pl.DataFrame:
    """Records as (values..., row number, malformed)."""
    schema = dict.fromkeys(names, pl.String) | {"_row_number": pl.Int64, "_malformed": pl.String}
    return pl.DataFrame(list(records), schema=schema, orient="row")


def shared_file(*parts: str) -> Path:
    default = Path(__file__).parents[3] / "shared" / "data"
    file = Path(os.environ.get("RETAIL_SHARED_DATA", default)).joinpath(*parts)
    if not file.exists():
        pytest.skip(f"no real data: {file} is absent (set RETAIL_SHARED_DATA)")
    return file


def as_python_reads(content: bytes) -> pl.DataFrame:
    header, *records = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    columns = [[value or None for value in column] for column in zip(*records, strict=True)]
    frame = pl.DataFrame(dict(zip(header, columns, strict=True)), schema=dict.fromkeys(header, pl.String))
    return frame.with_columns(
        pl.int_range(2, len(records) + 2, dtype=pl.Int64).alias("_row_number"),
        pl.lit(None, pl.String).alias("_malformed"),
    )


def without_rows(content: CsvContent) -> dict[str, object]:
    return {name: value for name, value in vars(content).items() if name != "rows"}


class TestDialects:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize(("line_end", "name"), [("\n", "LF"), ("\r", "CR"), ("\r\n", "CRLF")])
    def test_delimiters_and_line_ends_are_recognised(self, delimiter, line_end, name):
        text = line_end.join(delimiter.join(record) for record in [AB, ("1", "x"), ("2", "y")])
        content = read_csv(text.encode(), expected=AB)
        assert_frame_equal(content.rows, rows(AB, ("1", "x", 2, None), ("2", "y", 3, None)))
        assert without_rows(content) == {
            "header": AB,
            "delimiter": delimiter,
            "encoding": "utf-8",
            "line_end": name,
            "notes": (),
        }

    def test_mixed_line_ends_in_one_file(self):
        content = read_csv(b"a,b\r\n1,x\n2,y\r3,z", expected=AB)
        assert_frame_equal(content.rows, rows(AB, ("1", "x", 2, None), ("2", "y", 3, None), ("3", "z", 4, None)))

    @pytest.mark.parametrize(
        ("written_as", "encoding", "notes"),
        [
            ("utf-8", "utf-8", ()),
            ("utf-8-sig", "utf-8-sig", ()),
            ("utf-16", "utf-16", ("decoded as utf-16",)),
            ("cp1252", "cp1252", ("decoded as cp1252",)),
        ],
    )
    def test_encodings_are_recognised(self, written_as, encoding, notes):
        content = read_csv("a,b\n1,Café 5 €\n".encode(written_as), expected=AB)
        assert_frame_equal(content.rows, rows(AB, ("1", "Café 5 €", 2, None)))
        assert (content.encoding, content.notes, content.header) == (encoding, notes, AB)

    def test_big_endian_utf_16(self):
        content = read_csv(b"\xfe\xff" + "a,b\n1,é\n".encode("utf-16-be"), expected=AB)
        assert_frame_equal(content.rows, rows(AB, ("1", "é", 2, None)))

    def test_bytes_that_cp1252_lacks_are_latin_1(self):
        content = read_csv("a,b\n1,é\x81\n".encode("latin-1"), expected=AB)
        assert_frame_equal(content.rows, rows(AB, ("1", "é\x81", 2, None)))
        assert content.encoding == "latin-1"

    def test_an_accented_last_letter_is_not_half_a_utf_8_character(self):
        content = read_csv("a,b\n1,é".encode("cp1252"), expected=AB)
        assert_frame_equal(content.rows, rows(AB, ("1", "é", 2, None)))

    def test_a_character_cut_in_two_does_not_garble_the_others(self):
        content = read_csv("a,b\né,x\n1,é".encode()[:-1], expected=AB)
        assert_frame_equal(content.rows, rows(AB, ("é", "x", 2, None), ("1", "\\xc3", 3, None)))
        assert content.notes == ("the last character is cut off",)

    @pytest.mark.parametrize(("mark", "encoding"), [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")])
    def test_half_a_line_end_does_not_spoil_the_last_record(self, mark, encoding):
        content = read_csv(mark + 'a,b\n1,"x"\n'.encode(encoding)[:-1], expected=AB)
        assert_frame_equal(content.rows, rows(AB, ("1", "x", 2, None)))

    def test_what_is_declared_wins(self):
        content = read_csv("a;b\n1;é\n".encode("cp850"), expected=AB, delimiter=";", encoding="cp850")
        assert_frame_equal(content.rows, rows(AB, ("1", "é", 2, None)))
        assert (content.delimiter, content.encoding) == (";", "cp850")

    def test_the_delimiter_is_the_one_that_gives_expected_columns_not_the_most_frequent(self):
        content = read_csv(b"a;b, c, d, e\n1;2\n", expected=("a",))
        assert content.header == ("a", "b, c, d, e")


class TestValues:
    def test_values_are_kept_as_written(self):
        text = 'a,b,c\n 1 ,NA,null\n007,N/A,17850.0\n"x, y","say ""hi""","two\r\nlines"\n5" pipe,true,2024-01-01\n'
        expected = rows(
            ABC,
            (" 1 ", "NA", "null", 2, None),
            ("007", "N/A", "17850.0", 3, None),
            ("x, y", 'say "hi"', "two\r\nlines", 4, None),
            ('5" pipe', "true", "2024-01-01", 5, None),
        )
        assert_frame_equal(read_csv(text.encode(), expected=ABC).rows, expected)

    def test_an_empty_field_is_null_quoted_or_not(self):
        content = read_csv(b'a,b,c\n1,,""\n', expected=ABC)
        assert_frame_equal(content.rows, rows(ABC, ("1", None, None, 2, None)))

    def test_blank_lines_are_skipped_and_counted_in_row_numbers(self):
        content = read_csv(b"\n\na,b\n1,x\n\n  \n,\n2,y\n\n", expected=AB)
        assert_frame_equal(content.rows, rows(AB, ("1", "x", 4, None), ("2", "y", 8, None)))
        assert content.notes == ("blank lines skipped: 4",)

    def test_a_header_alone_is_a_file_without_rows(self):
        content = read_csv(b"a,b", expected=AB)
        assert_frame_equal(content.rows, rows(AB))
        assert content.notes == ("no rows after the header",)

    def test_one_column(self):
        content = read_csv(b"a\n1\n\n2,3\n", expected=("a",))
        assert_frame_equal(content.rows, rows(("a",), ("1", 2, None), (None, 4, "2,3")))


class TestMalformedRecords:
    def test_too_few_and_too_many_fields(self):
        content = read_csv(b'a,b\n1\n2,x\n3,"y",z\r\n4,w\n', expected=AB)
        expected = rows(AB, (None, None, 2, "1"), ("2", "x", 3, None), (None, None, 4, '3,"y",z'), ("4", "w", 5, None))
        assert_frame_equal(content.rows, expected)
        assert content.notes == ("malformed (too few or too many fields, or a stray quote): row 2, 4",)

    def test_a_file_cut_off_in_a_record(self):
        content = read_csv(b"a,b,c\n1,x,y\n2,x", expected=ABC)
        assert_frame_equal(content.rows, rows(ABC, ("1", "x", "y", 2, None), (None, None, None, 3, "2,x")))
        assert content.notes[-1] == "the last record is cut off: row 3"

    def test_white_space_at_the_end_is_no_record_cut_off(self):
        content = read_csv(b"a,b\n1,x\n ", expected=AB)
        assert_frame_equal(content.rows, rows(AB, ("1", "x", 2, None)))
        assert content.notes == ("blank lines skipped: 1",)

    def test_a_file_cut_off_in_a_quoted_value(self):
        content = read_csv(b'a,b,c\n1,x,y\n2,"one, two, three\nand so\non', expected=ABC)
        expected = rows(ABC, ("1", "x", "y", 2, None), (None, None, None, 3, '2,"one, two, three\nand so\non'))
        assert_frame_equal(content.rows, expected)
        assert content.notes[-1] == "the file ends inside a quoted value: row 3 holds the text from its record on"

    def test_a_quote_never_closed_costs_its_own_record_only(self):
        text = 'a,b,c\n1,"x\ny",z\n2,"3/4 pipe,5\n' + "".join(f"{number},p,q\n" for number in range(3, 60))
        content = read_csv(text.encode(), expected=ABC)
        good = [(str(number), "p", "q", number + 1, None) for number in range(3, 60)]
        expected = rows(ABC, ("1", "x\ny", "z", 2, None), (None, None, None, 3, '2,"3/4 pipe,5'), *good)
        assert_frame_equal(content.rows, expected)

    def test_a_stray_quote_closed_by_the_next_quoted_value_does_not_join_two_records(self):
        content = read_csv(b'a,b,c\r1,"x,2\r2,"y",3\r4,"z ""w""\rv",5\r', expected=ABC)
        expected = rows(ABC, (None, None, None, 2, '1,"x,2'), ("2", "y", "3", 3, None), ("4", 'z "w"\rv', "5", 4, None))
        assert_frame_equal(content.rows, expected)

    def test_text_after_a_closing_quote_is_not_glued_to_the_value(self):
        content = read_csv(b'a,b\n"x"y,1\n"z",2\n', expected=AB)
        assert_frame_equal(content.rows, rows(AB, (None, None, 2, '"x"y,1'), ("z", "2", 3, None)))


class TestHeaders:
    def test_names_are_stripped_and_kept_as_found(self):
        content = read_csv(b' Order ID ,"b"\n1,x\n', expected=("order_id", "b"))
        assert content.header == ("Order ID", "b")
        assert_frame_equal(content.rows, rows(("Order ID", "b"), ("1", "x", 2, None)))

    def test_every_column_gets_a_name_of_its_own(self):
        content = read_csv(b"a,a,,a_2,_row_number\n1,2,3,4,5\n", expected=("a",))
        assert content.header == ("a", "a_3", "column_3", "a_2", "_row_number_2")
        assert_frame_equal(content.rows, rows(content.header, ("1", "2", "3", "4", "5", 2, None)))
        assert content.notes[0] == "column 2 is headed 'a': it is called 'a_3', as each column needs a name of its own"

    def test_a_missing_column_is_for_the_caller_to_judge(self):
        assert read_csv(b"a,x\n1,2\n", expected=AB).header == ("a", "x")

    @pytest.mark.parametrize(
        ("header", "match"),
        [
            (AB, HeaderMatch(missing=(), unknown=(), renamed={}, similar={})),
            (("a",), HeaderMatch(missing=("b",), unknown=(), renamed={}, similar={})),
            (("b", "z", "a"), HeaderMatch(missing=(), unknown=("z",), renamed={}, similar={})),
            (("A", "b"), HeaderMatch(missing=(), unknown=(), renamed={"A": "a"}, similar={})),
        ],
    )
    def test_missing_unknown_and_renamed(self, header, match):
        assert match_header(header, AB) == match

    @pytest.mark.parametrize("found", ["Order ID", "ORDER-ID", "orderId"])
    def test_another_spelling_is_a_renamed_column(self, found):
        assert match_header((found,), ("order_id",)).renamed == {found: "order_id"}

    @pytest.mark.parametrize(("found", "expected"), [("oder_id", "order_id"), ("county", "country")])
    def test_a_name_that_looks_alike_is_a_guess(self, found, expected):
        similar = HeaderMatch(missing=(expected,), unknown=(found,), renamed={}, similar={found: expected})
        assert match_header((found,), (expected,)) == similar

    @pytest.mark.parametrize(
        ("header", "expected"),
        [(("phone2",), ("phone1",)), (("order_ids", "order_idd"), ("order_id",)), (("Id", "ID"), ("id",))],
        ids=["another digit", "two resemble it", "two are it"],
    )
    def test_what_may_be_another_column_is_not_called_renamed(self, header, expected):
        assert match_header(header, expected) == HeaderMatch(missing=expected, unknown=header, renamed={}, similar={})


class TestUnreadableFiles:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "the file is empty"),
            (b" \r\n\t", "the file is empty"),
            (b"\xef\xbb\xbf\n", "empty but for its byte order mark"),
            (b"PK\x03\x04\x14\x00", r"Excel workbook \(.xlsx\) or a zip archive.*save it as CSV"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"old Excel workbook \(.xls\).*save it as CSV"),
            (b"\x1f\x8b\x08\x00", "compressed with gzip.*unpack it"),
            (b"%PDF-1.7\n\xe2\xe3", "a PDF document"),
            (b"PAR1\x15\x04\x00PAR1", "a Parquet file, not a CSV file: export it as CSV"),
            (b"\x89PNG\r\n\x1a\n\x00", "a PNG picture"),
            (b"a,b\n1,\x00\n", "NUL bytes"),
            (b"1,2\n3,4\n", r"first line looks like data.*put a line with the names first \(found 1, 2; expected a, b"),
            (b"x,y\n1,2\n", r"none of the expected columns.*found x, y; expected a, b"),
            (b'"never closed\n1,2\n', "none of the expected columns"),
            (b"\xff\xfea\xd8b\x00", "the byte order mark says .* 'utf-16'"),
        ],
    )
    def test_the_message_says_what_is_wrong_and_what_to_do(self, content, message):
        with pytest.raises(UnreadableFile, match=message):
            read_csv(content, expected=AB)

    def test_a_wrongly_declared_delimiter(self):
        with pytest.raises(UnreadableFile, match=r"declares a comma as delimiter, but .* separated by a semicolon"):
            read_csv(b"a;b\n1;2\n", expected=AB, delimiter=",")

    @pytest.mark.parametrize(
        ("encoding", "message"),
        [("utf-8", "'utf-8', but byte 0xe9 is not valid in it"), ("utf-9", "'utf-9', which is unknown")],
    )
    def test_a_wrongly_declared_encoding(self, encoding, message):
        with pytest.raises(UnreadableFile, match=message):
            read_csv(b"a,b\n1,\xe9t\xe9\n", expected=AB, encoding=encoding)


class TestRealFiles:
    @pytest.mark.parametrize("day", ["20230619", "20230901", "20240614", "20240701"])
    def test_psycho_bunny_customers_have_cr_line_ends(self, day):
        content = shared_file("psycho_bunny", f"de_shop_customers_{day}.csv").read_bytes()
        ours = read_csv(content, expected=("first_name", "last_name", "email"))
        assert_frame_equal(ours.rows, as_python_reads(content))
        assert (len(ours.rows), ours.line_end, ours.notes) == (500, "CR", ())

    def test_olist_has_quoted_values_over_several_lines(self):
        content = shared_file("olist", "olist_order_reviews_dataset.csv").read_bytes()
        ours = read_csv(content, expected=("review_id", "order_id"))
        assert_frame_equal(ours.rows, as_python_reads(content))

    @pytest.mark.slow
    def test_every_bundled_file_is_read_as_python_reads_it(self):
        for file in sorted(shared_file().rglob("*.csv")):
            content = file.read_bytes()
            ours = read_csv(content, expected=())
            has_value = ~pl.all_horizontal(pl.col(ours.header).is_null())
            assert_frame_equal(ours.rows, as_python_reads(content).filter(has_value))
