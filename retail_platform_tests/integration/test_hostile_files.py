"""Given files that are not as they should be, then nothing is lost, and a message says what to do."""

import datetime as dt
import gzip
import io
import os
import random
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from retail_platform.landing import drops
from retail_platform.landing.drops import scan
from retail_platform.landing.finding import Found, find_files
from retail_platform_tests import scenario
from retail_platform_tests.scenario import ORDER_HEADER, customers, orders
from retail_platform_tests.shop import Shop

DAY = dt.date(2024, 6, 3)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A file as it arrives, and what becomes of it.

    Attributes:
        content: The file, or its text in UTF-8.
        status: Of its drop.
        message: Of its drop; "..." stands for the middle.
        units: The quantities in bronze, by order id; None is the id of a malformed record.
    """

    content: bytes | str
    status: str = "loaded"
    message: str = ""
    units: tuple[tuple[str | None, str | None], ...] = (("1", "1"), ("2", "2"))


def line(name: str, number: int) -> str:
    return f"{name}-{number},{DAY},C1,P1,{number},Completed,Card,"


def good(name: str) -> str:
    return orders(line(name, 1), line(name, 2))


def workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>" + "é" * 100)
    return file.getvalue()


EMPTY = "the file is empty: ask the sender to deliver it again"
NOT_TEXT = "this is not text (it holds NUL bytes), or was damaged on the way: deliver it again as CSV"
COLUMNS = "order_id, order_date, customer_id, product_id, quantity, order_status, payment_mode, line_number"
ONE = (("1", "1"),)
MALFORMED = "malformed (too few or too many fields, or a stray quote): row "

REFUSED = {
    "empty": Case(content="", message=EMPTY),
    "blank": Case(content=" \r\n\t\n  ", message=EMPTY),
    "tilde": Case(
        content=good("tilde").replace(",", "~"),
        message="none of the expected columns is in the header: is this the right file for this feed? ...",
    ),
    "headless": Case(
        content=line("headless", 1) + "\n" + line("headless", 2) + "\n",
        message="the first line looks like data, not like column names: put a line with the names first ...",
    ),
    "nameless": Case(
        content=good("nameless").replace("customer_id,", "").replace(",C1", ""),
        message="the header lacks customer_id; it has order_id, order_date, product_id, quantity, order_status, "
        "payment_mode, line_number. Deliver the file with these columns or, if the source has changed for good, adapt "
        "the feed's `columns` in its defs.yaml.",
    ),
    "alike": Case(
        content=good("alike").replace("customer_id", "custmer_id"),
        message="the header lacks customer_id; it has order_id, order_date, custmer_id, ... Renamed: custmer_id "
        "(perhaps customer_id). Deliver the file with these columns or, if the source has changed for good, adapt the "
        "feed's `columns` in its defs.yaml.",
    ),
    "workbook": Case(
        content=workbook(),
        message="this is an Excel workbook (.xlsx) or a zip archive, not a CSV file: open it in a spreadsheet and "
        "save it as CSV, or unpack it and drop the CSV file that is inside",
    ),
    "packed": Case(
        content=gzip.compress(good("packed").encode()),
        message="this is compressed with gzip, not a CSV file: unpack it and drop the CSV file that is inside",
    ),
    "noise": Case(content=random.Random(1).randbytes(5_000), message=NOT_TEXT),
    "nul": Case(content=good("nul").replace("C1", "C\0"), message=NOT_TEXT),
    "bitten": Case(
        content=good("bitten").encode("utf-16")[:60].replace(b"d\0", b"\x00\xd8"),
        message="the byte order mark says the encoding 'utf-16', but byte ...",
    ),
}
"""Files of which nothing is taken."""

TAKEN = {
    "whole": Case(content=good("whole")),
    "header": Case(content=ORDER_HEADER + "\n", message="no rows after the header", units=()),
    "torn": Case(
        content=good("torn") + "torn-3,2024-06-0",
        message=f"{MALFORMED}4; the last record is cut off: row 4",
        units=(("1", "1"), ("2", "2"), (None, None)),
    ),
    "semicolon": Case(content=good("semicolon").replace(",", ";")),
    "tab": Case(content=good("tab").replace(",", "\t")),
    "pipe": Case(content=good("pipe").replace(",", "|")),
    "cr": Case(content=good("cr").replace("\n", "\r")),
    "crlf": Case(content=good("crlf").replace("\n", "\r\n")),
    "bom": Case(content=good("bom").encode("utf-8-sig")),
    "utf16": Case(content=good("utf16").encode("utf-16"), message="decoded as utf-16"),
    "cp1252": Case(content=good("cp1252").replace("Card", "Café €").encode("cp1252"), message="decoded as cp1252"),
    "latin1": Case(content=good("latin1").replace("Card", "\x81é").encode("latin-1"), message="decoded as latin-1"),
    "extra": Case(content=good("extra").replace(",line_number", ",line_number,colour").replace("Card,", "Card,,red")),
    "renamed": Case(content=good("renamed").replace("customer_id", "Customer ID")),
    "optional": Case(content=good("optional").replace(",line_number", "").replace("Card,", "Card")),
    "quote": Case(
        content=orders(line("quote", 1), 'quote-2,2024-06-03,"C1"x,P1,2,,Card,', line("quote", 3)),
        message=f"{MALFORMED}3",
        units=(("1", "1"), ("3", "3"), (None, None)),
    ),
    "ragged": Case(
        content=orders(line("ragged", 1), "ragged-2,2024-06-03", line("ragged", 3) + ",,,", line("ragged", 4)),
        message=f"{MALFORMED}3, 4",
        units=(("1", "1"), ("4", "4"), (None, None), (None, None)),
    ),
    "blanks": Case(content="\n" + good("blanks").replace("\n", "\n\n") + ",,,,,,,\n", message="blank lines skipped: 4"),
    "huge": Case(content=good("huge").replace("Card", "x" * 3_000_000, 1)),
    "twice": Case(
        content=good("twice").replace("line_number", "quantity"),
        message="column 8 is headed 'quantity': it is called 'quantity_2', as each column needs a name of its own",
    ),
    "ours": Case(
        content=good("ours")
        .replace("line_number", "line_number,_key,_drop_id,partition_date,file_id,_malformed")
        .replace("Card,", "Card,,1,2,3,4,5"),
        message="column 13 is headed '_malformed': it is called '_malformed_2', as each column needs a name of its own",
    ),
}
"""Files that go through, with or without a remark."""

CASES = REFUSED | TAKEN
CHANGED = {
    "nameless": "missing: customer_id",
    "alike": "new: custmer_id; renamed: custmer_id (perhaps customer_id); missing: customer_id",
    "extra": "new: colour",
    "renamed": "renamed: Customer ID (is customer_id)",
    "twice": "new: quantity_2",
    "ours": "new: _key, _drop_id, partition_date, file_id, _malformed_2",
}


def path(name: str) -> str:
    return f"storefront/orders/{name}/{drop_date(name)}.csv"


def drop_date(name: str) -> dt.date:
    return dt.date(2024, 7, 1) + dt.timedelta(days=list(CASES).index(name))


def fix(content: bytes | str) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop in which all the bad files arrived together, after its master data."""
    with Shop(tmp_path_factory.mktemp("hostile") / "data", sources=("storefront",)) as shop:
        shop.deliver("storefront/customers/customers-2024-06-01.csv", customers("C1,Ann Lee,,Boston,MA,USA,2023-01-05"))
        shop.deliver("storefront/products/products-2024-06-01.csv", scenario.PRODUCTS)
        for name, case in CASES.items():
            shop.deliver(path(name), case.content, at="2024-08-15T06:00:00")
        assert shop.load().errors == []
        yield shop


def is_alike(message: str, expected: str) -> bool:
    begin, dots, end = expected.partition("...")
    return message == expected if not dots else message.startswith(begin) and message.endswith(end)


def details(shop: Shop, check: str, day: dt.date) -> str:
    """What the newest result of a check of bronze orders says of a day, in Dagster."""
    metadata = shop.evaluations("bronze/storefront/orders", check)[day].metadata
    return str(metadata["details"].value) if "details" in metadata else ""


class TestFiles:
    @pytest.mark.parametrize("name", REFUSED)
    def test_an_unreadable_file_is_rejected_with_what_to_do(self, shop: Shop, name: str) -> None:
        (drop,) = shop.platform.ledger.drops(path=path(name))
        assert drop.status == "rejected"
        assert is_alike(drop.message, REFUSED[name].message), drop.message
        assert details(shop, "files_readable", drop_date(name)) == f"{path(name)}: {drop.message}"

    @pytest.mark.parametrize("name", TAKEN)
    def test_a_readable_file_goes_through_with_a_remark(self, shop: Shop, name: str) -> None:
        (drop,) = shop.platform.ledger.drops(path=path(name))
        assert (drop.status, drop.message) == ("loaded", TAKEN[name].message)

    @pytest.mark.parametrize("name", TAKEN)
    def test_bronze_holds_every_row_of_the_file(self, shop: Shop, name: str) -> None:
        rows = shop.rows(f"""
            SELECT split_part(order_id, '-', 2), quantity FROM bronze.storefront_orders
            WHERE _source_file = '{path(name)}' ORDER BY ALL NULLS LAST
        """)
        assert rows == list(TAKEN[name].units)

    @pytest.mark.parametrize("name", TAKEN)
    def test_good_rows_become_facts(self, shop: Shop, name: str) -> None:
        rows = shop.rows(f"""
            SELECT split_part(order_id, '-', 2), quantity::VARCHAR FROM gold.fact_sales
            WHERE order_id LIKE '{name}-%' ORDER BY ALL
        """)
        assert rows == [unit for unit in TAKEN[name].units if unit[0]]

    def test_text_is_read_in_its_own_encoding(self, shop: Shop) -> None:
        rows = shop.rows("""
            SELECT DISTINCT split_part(order_id, '-', 1), payment_method FROM gold.fact_sales
            WHERE regexp_matches(order_id, '^(cp1252|latin1|bom|utf16)-') ORDER BY ALL
        """)
        assert rows == [("bom", "Card"), ("cp1252", "Café €"), ("latin1", "\x81é"), ("utf16", "Card")]

    def test_malformed_records_wait_in_quarantine_as_they_came(self, shop: Shop) -> None:
        rows = shop.rows("""
            SELECT partition_date, _source_file, _row_number, raw FROM silver.storefront_orders_quarantine
            WHERE reasons = ['row_malformed'] ORDER BY ALL
        """)
        assert rows == [
            (drop_date("torn"), path("torn"), 4, "torn-3,2024-06-0"),
            (drop_date("quote"), path("quote"), 3, 'quote-2,2024-06-03,"C1"x,P1,2,,Card,'),
            (drop_date("ragged"), path("ragged"), 3, "ragged-2,2024-06-03"),
            (drop_date("ragged"), path("ragged"), 4, line("ragged", 3) + ",,,"),
        ]

    def test_nothing_else_is_in_quarantine(self, shop: Shop) -> None:
        reasons = "SELECT DISTINCT reasons FROM silver.storefront_orders_quarantine"
        assert shop.rows(reasons) == [(["row_malformed"],)]

    def test_checks_show_it_on_the_right_day(self, shop: Shop) -> None:
        unread = [day for day, passed in shop.checks("files_readable").items() if not passed]
        assert unread == [drop_date(name) for name in REFUSED]
        changed = [day for day, passed in shop.checks("schema_unchanged").items() if not passed]
        assert changed == [DAY, drop_date("nameless"), drop_date("alike")]
        for name in ("nameless", "alike"):
            assert details(shop, "schema_unchanged", drop_date(name)) == f"{path(name)}: {CHANGED[name]}"
        lines = [f"{path(name)}: {what}" for name, what in CHANGED.items() if name in TAKEN]
        assert sorted(details(shop, "schema_unchanged", DAY).splitlines()) == sorted(lines)
        assert set(shop.checks("rows_match_files").values()) == {True}

    def test_files_that_are_put_right_load_and_the_complaints_end(self, shop: Shop) -> None:
        for name in REFUSED:
            shop.deliver(path(name), good(name), at="2024-08-16T06:00:00")
        assert shop.load().errors == []
        statuses = {name: {drop.status for drop in shop.platform.ledger.drops(path=path(name))} for name in REFUSED}
        assert statuses == {name: {"loaded", "replaced"} for name in REFUSED}
        loaded = shop.rows(f"""
            SELECT split_part(order_id, '-', 1) AS name, list(quantity ORDER BY quantity) FROM gold.fact_sales
            WHERE name IN {tuple(REFUSED)} GROUP BY ALL ORDER BY ALL
        """)
        assert loaded == [(name, [1, 2]) for name in sorted(REFUSED)]
        assert set(shop.checks("files_readable").values()) == {True}
        assert [day for day, passed in shop.checks("schema_unchanged").items() if not passed] == [DAY]


class TestPlaces:
    """What is no regular file, or is gone when it is wanted."""

    def scan(self, shop: Shop) -> tuple[list[str], list[str]]:
        report = scan(shop.platform.lanes["storefront"])
        return [drop.path for drop in report.new], sorted(report.ignored)

    def test_a_folder_named_like_a_file_is_a_folder(self, shop: Shop) -> None:
        (shop.settings.landing_dir / "storefront/orders/empty.csv").mkdir()
        shop.deliver("storefront/orders/folder.csv/inside.csv", good("folder"))
        assert self.scan(shop) == (["storefront/orders/folder.csv/inside.csv"], [])

    def test_files_of_other_kinds_and_unfinished_ones_are_left_alone(self, shop: Shop) -> None:
        for name in ("notes.txt", ".hidden.csv", "half.csv.part", "upload.csv.tmp"):
            shop.deliver(f"storefront/orders/{name}", good("other"))
        assert self.scan(shop) == ([], ["storefront/orders/notes.txt"])
        (shop.settings.landing_dir / "storefront/orders/notes.txt").unlink()

    def test_a_dead_link_hides_no_other_file(self, shop: Shop) -> None:
        folder = shop.settings.landing_dir / "storefront/orders"
        (folder / "dead.csv").symlink_to(folder / "nowhere.csv")
        shop.deliver("storefront/orders/zz-after.csv", good("after"))
        new, ignored = self.scan(shop)
        (folder / "dead.csv").unlink()
        assert (new, ignored) == (["storefront/orders/zz-after.csv"], ["storefront/orders/dead.csv"])

    def test_a_file_that_cannot_be_read_is_told_and_hides_no_other(self, shop: Shop) -> None:
        link = shop.settings.landing_dir / "storefront/orders/locked.csv"
        link.symlink_to("/proc/self/mem")  # reading it is an error, for root too
        shop.deliver("storefront/orders/zz-unlocked.csv", good("unlocked"))
        report = scan(shop.platform.lanes["storefront"])
        link.unlink()
        assert [drop.path for drop in report.new] == ["storefront/orders/zz-unlocked.csv"]
        assert report.unreadable == {"storefront/orders/locked.csv": "Input/output error"}

    def test_a_name_that_is_not_utf8_is_told_and_hides_no_other(self, shop: Shop) -> None:
        shop.deliver("storefront/orders/zz-named.csv", good("named"))
        file = shop.settings.landing_dir / "storefront/orders" / os.fsdecode(b"caf\xe9.csv")
        file.write_text(good("cafe"), encoding="utf-8")
        report = scan(shop.platform.lanes["storefront"])
        file.unlink()
        assert [drop.path for drop in report.new] == ["storefront/orders/zz-named.csv"]
        assert report.unreadable == {"storefront/orders/caf\\udce9.csv": "its name is not UTF-8: rename it"}

    def test_a_pipe_is_not_waited_for(self, shop: Shop) -> None:
        pipe = shop.settings.landing_dir / "storefront/orders/pipe.csv"
        os.mkfifo(pipe)
        found = self.scan(shop)
        pipe.unlink()
        assert found == ([], ["storefront/orders/pipe.csv"])

    def test_a_file_that_vanishes_while_it_is_looked_at_hides_no_other(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vanishing = shop.deliver("storefront/orders/aa-vanishing.csv", good("vanishing"))
        shop.deliver("storefront/orders/zz-staying.csv", good("staying"))

        def find_and_lose(landing: Path, source: str, feeds: Collection[str]) -> Found:
            found = find_files(landing, source, feeds)
            vanishing.unlink()
            return found

        with monkeypatch.context() as patch:
            patch.setattr(drops, "find_files", find_and_lose)
            assert self.scan(shop) == (["storefront/orders/zz-staying.csv"], [])
        assert self.scan(shop) == ([], [])


class TestRejectedFiles:
    def test_they_are_taken_once_the_declaration_is_put_right(self, tmp_path: Path) -> None:
        name = "storefront/orders/orders-2024-06-04.csv"
        with Shop(tmp_path / "data") as shop:
            shop.deliver(name, orders(line("adapted", 1)).replace("payment_mode", "paid_by"))
            assert [drop.status for drop in shop.scan()["storefront"].new] == ["rejected"]
            assert shop.scan()["storefront"].new == []
        columns = ["order_id", "order_date", "customer_id", "product_id", "quantity", "order_status"]
        declared = {"columns": columns, "optional": {"line_number": "1", "payment_mode": None, "paid_by": None}}
        with Shop(tmp_path / "data", feeds={"storefront/orders": declared}) as shop:
            assert [(drop.path, drop.status) for drop in shop.scan()["storefront"].new] == [(name, "pending")]


class TestGoneBeforeLoading:
    def test_it_is_told_and_loads_when_it_comes_back(self, shop: Shop) -> None:
        name = "storefront/orders/gone-2024-06-20.csv"
        file = shop.deliver(name, good("gone"), at="2024-08-20T06:00:00")
        shop.scan()
        file.unlink()
        report = shop.load()
        assert (report.errors, report.runs) == ([], 1)
        (drop,) = shop.platform.ledger.drops(path=name)
        assert (drop.status, drop.message) == (
            "rejected",
            "the file has gone or changed before it was loaded: deliver it again",
        )
        assert shop.load().runs == 0
        shop.deliver(name, good("gone"), at="2024-08-20T06:00:00")
        shop.load()
        (drop,) = shop.platform.ledger.drops(path=name)
        assert (drop.status, drop.message) == ("loaded", "")
        facts = "SELECT order_id, quantity FROM gold.fact_sales WHERE order_id LIKE 'gone-%' ORDER BY ALL"
        assert shop.rows(facts) == [("gone-1", 1), ("gone-2", 2)]

    def test_a_file_that_changes_after_it_was_looked_at_is_looked_at_again(self, shop: Shop) -> None:
        name = "storefront/orders/growing-2024-06-21.csv"
        shop.deliver(name, orders(line("growing", 1)), at="2024-08-21T06:00:00")
        shop.scan()
        shop.deliver(name, good("growing"), at="2024-08-21T07:00:00")
        shop.load(scan=False)
        assert [drop.status for drop in shop.platform.ledger.drops(path=name)] == ["rejected"]
        shop.load()
        facts = "SELECT order_id, quantity FROM gold.fact_sales WHERE order_id LIKE 'growing-%' ORDER BY ALL"
        assert shop.rows(facts) == [("growing-1", 1), ("growing-2", 2)]
        assert [(drop.status, drop.rows) for drop in shop.platform.ledger.drops(path=name)] == [
            ("replaced", 1),
            ("loaded", 2),
        ]
