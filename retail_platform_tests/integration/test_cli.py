"""Given what a retailer types, then this answer, this exit code, and never a traceback."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from retail_platform_tests import scenario
from retail_platform_tests.scenario import orders
from retail_platform_tests.shop import Shop

ORDERS = "storefront/orders/orders-2024-06-04.csv"
BROKEN = "storefront/orders/broken-2024-06-04.csv"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a command printed, and its exit code."""

    code: int
    out: list[str]
    err: str


@dataclass(frozen=True, kw_only=True)
class Retailer:
    """Somebody at a terminal, in a data folder of their own."""

    root: Path

    def types(self, *arguments: str, **environment: str) -> Told:
        settings = {"RETAIL_DATA_DIR": str(self.root), "RETAIL_SOURCES": "storefront"} | environment
        told = subprocess.run(
            [sys.executable, "-m", "retail_platform.cli", *arguments],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Traceback" not in told.stdout + told.stderr, told.stderr
        return Told(code=told.returncode, out=told.stdout.splitlines(), err=told.stderr)

    def deliver(self, path: str, content: str) -> None:
        Shop(self.root).deliver(path, content)


@pytest.fixture(scope="module")
def retailer(tmp_path_factory: pytest.TempPathFactory) -> Retailer:
    """A retailer with the scenario's files, a broken one and a text file in landing."""
    retailer = Retailer(root=tmp_path_factory.mktemp("cli") / "data")
    for path, content in scenario.FILES.items():
        retailer.deliver(path, content)
    retailer.deliver(BROKEN, "")
    retailer.deliver("storefront/orders/readme.txt", "not data")
    (retailer.root / "landing/storefront/orders/locked.csv").symlink_to("/proc/self/mem")
    return retailer


@pytest.fixture(scope="module")
def first_load(retailer: Retailer) -> Told:
    """The first load."""
    return retailer.types("load")


@pytest.fixture
def loaded(retailer: Retailer, first_load: Told) -> Retailer:
    """The retailer after the first load."""
    assert first_load.code == 1
    return retailer


def without_seconds(lines: list[str]) -> list[str]:
    return [re.sub(r"\d+\.\d s", "N s", line) for line in lines]


def table(told: Told) -> list[list[str]]:
    """A printed table, its cells apart."""
    return [re.split(r"\s{2,}", line.strip()) for line in told.out]


class TestBeforeTheFirstLoad:
    def test_there_is_nothing_to_query_yet(self, tmp_path: Path) -> None:
        told = Retailer(root=tmp_path).types("query", "SELECT 1")
        assert (told.code, told.out) == (2, [])
        assert "retail load" in told.err

    def test_status_and_drops_of_an_empty_folder(self, tmp_path: Path) -> None:
        retailer = Retailer(root=tmp_path)
        told = retailer.types("status")
        assert (told.code, table(told)[1][:2]) == (0, ["storefront", "0"])
        told = retailer.types("drops")
        assert (told.code, len(told.out)) == (0, 1)


class TestLoad:
    def test_it_tells_what_it_did_and_what_is_left_undone(self, first_load: Told, retailer: Retailer) -> None:
        assert first_load.code == 1
        assert without_seconds(first_load.out) == [
            "ignored storefront/orders/readme.txt: its name does not end in .csv or .tsv",
            "unreadable storefront/orders/locked.csv: Input/output error",
            f"rejected {BROKEN}: the file is empty: ask the sender to deliver it again",
            "storefront/customers 2024-05-31 to 2024-06-04: 4 rows = 3 silver + 1 quarantined + 0 superseded",
            "storefront/orders 2024-05-31 to 2024-06-04: 13 rows = 8 silver + 5 quarantined + 0 superseded",
            "storefront/products 2024-05-31 to 2024-06-04: 3 rows = 3 silver + 0 quarantined + 0 superseded",
            "Loaded 4 new files in 1 runs and 1 for snapshots, N s.",
            f"The answers are in {retailer.root / 'warehouse' / 'retail.duckdb'}",
        ]

    @pytest.mark.slow
    def test_a_shorter_rewrite_is_held_until_it_is_accepted(self, tmp_path: Path) -> None:
        retailer = Retailer(root=tmp_path / "data")
        lines = [f"S{number},2024-06-01,C1,P1,1,,Card," for number in range(10)]
        retailer.deliver("storefront/orders/orders-2024-06-04.csv", orders(*lines))
        assert retailer.types("load").code == 0
        told = retailer.types("load")
        assert (told.code, len(told.out)) == (0, 1)
        assert told.out[0].startswith("Nothing to do: 0 new files, and all 1 sources are up to date")

        retailer.deliver("storefront/orders/orders-2024-06-04.csv", orders(*lines[:5]))
        told = retailer.types("load")
        assert told.code == 1
        (held,) = [line for line in told.out if line.startswith("held")]
        accept = re.search(r"retail (drops accept (\w+))", held)
        assert accept is not None
        assert held == (
            f"held {ORDERS}: the new content lacks 5 of the 10 keys that {ORDERS} gave before. If that is meant, run: "
            f"retail drops accept {accept[2]}. If not, deliver the whole file again."
        )

        told = retailer.types(*accept[1].split())
        assert (told.code, told.out) == (0, [f"{ORDERS} is accepted: the next load takes it."])
        told = retailer.types(*accept[1].split())
        assert (told.code, told.err.strip()) == (
            2,
            f"drop {accept[2]} ({ORDERS}) is pending, not held: there is nothing to accept",
        )
        assert retailer.types("load").code == 0
        rows = retailer.types("query", "SELECT count(*) AS rows FROM bronze.storefront_orders", "--format", "csv")
        assert rows.out == ["rows", "5"]


class TestLooking:
    def test_status_counts_and_names_what_needs_a_look(self, loaded: Retailer) -> None:
        told = loaded.types("status")
        assert told.code == 1
        assert table(told) == [
            [
                "source",
                "drops",
                "pending",
                "held",
                "rejected",
                "days waiting",
                "rows",
                "silver",
                "quarantine",
                "blocked",
            ],
            ["storefront", "4", "0", "0", "1", "20", "14", "6", "0"],
            [f"rejected {BROKEN}: the file is empty: ask the sender to deliver it again"],
        ]

    def test_drops_lists_files_the_latest_first(self, loaded: Retailer) -> None:
        told = loaded.types("drops")
        assert told.code == 0
        assert [line[1:] for line in table(told)] == [
            ["status", "file", "drop date", "days", "rows", "message"],
            ["loaded", ORDERS, "2024-06-04", "4", "13"],
            ["rejected", BROKEN, "2024-06-04", "1", "0", "the file is empty: ask the sender to deliver it again"],
            ["loaded", "storefront/products/products-2024-05-31.csv", "2024-05-31", "1", "3"],
            ["loaded", "storefront/customers/customers-2024-05-31.csv", "2024-05-31", "1", "4"],
        ]

    def test_quarantine_is_counted_by_reason(self, loaded: Retailer) -> None:
        told = loaded.types("quarantine", "list")
        assert told.code == 0
        lines = table(told)
        assert lines[0] == ["source", "entity", "reason", "rows", "days", "first day", "last day"]
        assert sorted(lines[1:-1]) == [
            ["storefront", "customers", "email_malformed", "1", "1", "2024-05-31", "2024-05-31"],
            ["storefront", "orders", "order_date_unreadable", "1", "1", "2024-06-04", "2024-06-04"],
            ["storefront", "orders", "order_id_missing", "1", "1", "2024-06-03", "2024-06-03"],
            ["storefront", "orders", "quantity_unreadable", "1", "1", "2024-06-03", "2024-06-03"],
            ["storefront", "orders", "quantity_zero", "1", "1", "2024-06-03", "2024-06-03"],
            ["storefront", "orders", "status_unknown", "1", "1", "2024-06-03", "2024-06-03"],
            ["storefront", "orders", "unit_price_unreadable", "1", "1", "2024-06-03", "2024-06-03"],
        ]
        assert told.out[-1] == "See the rows with: retail quarantine show SOURCE ENTITY [--reason REASON]"

    def test_a_quarantined_row_is_shown_with_what_to_do(self, loaded: Retailer) -> None:
        told = loaded.types("quarantine", "show", "storefront", "orders", "--reason", "status_unknown")
        assert told.code == 0
        assert told.out[:3] == [
            f"{ORDERS} row 11 (filed under 2024-06-03)",
            "  quantity_unreadable: column quantity is 'two'. quantity is missing or not a whole number: correct it.",
            (
                "  status_unknown: column order_status is 'Lost'. status is none of Completed, Cancelled, Returned, "
                "Open: correct it, or map it in the source's defs.yaml."
            ),
        ]
        assert json.loads(told.out[3])["order_id"] == "O9"
        assert len(told.out) == 4


class TestQuery:
    SQL = """
        SELECT order_id, order_date, total_amount, customer_id FROM gold.fact_sales
        WHERE order_id IN ('O5', 'O6') ORDER BY order_id
    """

    def test_csv(self, loaded: Retailer) -> None:
        told = loaded.types("query", self.SQL, "--format", "csv")
        assert (told.code, told.err, told.out) == (
            0,
            "",
            ["order_id,order_date,total_amount,customer_id", "O5,2024-06-02,99.99,", "O6,2024-06-02,-20.00,C2"],
        )

    def test_json(self, loaded: Retailer) -> None:
        told = loaded.types("query", self.SQL, "--format", "json")
        assert json.loads("\n".join(told.out)) == [
            {"order_id": "O5", "order_date": "2024-06-02", "total_amount": 99.99, "customer_id": None},
            {"order_id": "O6", "order_date": "2024-06-02", "total_amount": -20.0, "customer_id": "C2"},
        ]

    def test_table(self, loaded: Retailer) -> None:
        assert table(loaded.types("query", self.SQL)) == [
            ["order_id", "order_date", "total_amount", "customer_id"],
            ["O5", "2024-06-02", "99.99"],
            ["O6", "2024-06-02", "-20.00", "C2"],
        ]

    @pytest.mark.parametrize(
        ("sql", "message"),
        [
            ("SELECT nothing FROM gold.fact_sales", "nothing"),
            ("SELEC 1", "SELEC"),
            ("SELECT CAST(order_id AS INT) FROM gold.fact_sales", "Could not convert"),
            ("DELETE FROM gold.fact_sales", "read-only"),
            ("", "no query"),
        ],
    )
    def test_a_wrong_query_is_a_sentence(self, loaded: Retailer, sql: str, message: str) -> None:
        told = loaded.types("query", sql)
        assert (told.code, told.out) == (2, [])
        assert message in told.err


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "environment", "message"),
        [
            (["status"], {"RETAIL_SOURCES": "storefrnt"}, "RETAIL_SOURCES names storefrnt; declared are: "),
            (["load"], {"RETAIL_SOURCES": "storefrnt"}, "RETAIL_SOURCES names storefrnt; declared are: "),
            (["status"], {"RETAIL_START_DATE": "soon"}, "RETAIL_START_DATE"),
            (["load", "--source", "nowhere"], {}, "There is no source nowhere; active sources are storefront."),
            (["load", "--from", "June"], {}, "June"),
            (["drops", "--status", "lost"], {}, "There is no status lost; there are pending, loaded, replaced, held"),
            (["drops", "accept", "123"], {}, "There is no drop 123: `retail drops` lists them."),
            (["quarantine", "show", "storefront", "prices"], {}, "There is no quarantine of storefront/prices"),
            (["quarantine", "list", "--source", "nowhere"], {}, "There is no source nowhere"),
        ],
    )
    def test_a_mistake_is_a_sentence(
        self, loaded: Retailer, arguments: list[str], environment: Mapping[str, str], message: str
    ) -> None:
        told = loaded.types(*arguments, **environment)
        assert (told.code, told.out) == (2, [])
        assert message in told.err


def test_a_rebuilt_warehouse_is_equal(loaded: Retailer) -> None:
    schemas = ("bronze", "silver", "gold", "marts", "ops")
    with Shop(loaded.root, sources=("storefront",)) as shop:
        before = shop.tables(schemas)
        (shop.settings.warehouse_dir / "retail.duckdb").unlink()
        told = loaded.types("rebuild-warehouse")
        assert told.code == 0
        assert re.fullmatch(r"Rebuilt .*\.duckdb from the lake in \d+\.\d s\.", told.out[0])
        after = shop.tables(schemas)
    assert list(after) == list(before)
    for name, frame in before.items():
        # A run goes on writing checks and finished days after it has published: a rebuilt warehouse knows more of them.
        if name not in {"ops.check_results", "ops.dirty_days", "ops.manifest"}:
            assert_frame_equal(after[name], frame)
