"""The real files of online_retail: what only a year of a wholesaler shows."""

import random
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform_tests.e2e.real_files import RealDataStore, put, real_files
from retail_platform_tests.shop import Shop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loaded(real: RealDataStore) -> Iterator[Shop]:
    """A platform that has loaded online_retail alone from an empty folder."""
    with real.alone("online_retail").shop() as shop:
        yield shop


def test_quarantined_rows_have_their_reasons(loaded: Shop) -> None:
    """Two adjustments of bad debt have a negative price."""
    found = loaded.rows("SELECT reasons, raw->>'InvoiceNo' FROM silver.online_retail_orders_quarantine ORDER BY 2")
    assert found == [(["unit_price_negative"], "A563186"), (["unit_price_negative"], "A563187")]
    failed = "SELECT check_name, partition::VARCHAR, failed_rows FROM ops.check_results WHERE NOT passed"
    assert ("unit_price_negative", "2011-08-12", 2) in loaded.rows(failed)


def test_every_day_of_the_year_was_checked(loaded: Shop) -> None:
    """305 days have lines; those between them were looked at, too."""
    assert loaded.rows("SELECT count(*) FROM ops.books WHERE entity = 'orders' AND bronze_rows > 0") == [(305,)]
    days = "SELECT count(DISTINCT partition) FROM ops.check_results WHERE asset = 'silver/online_retail/orders'"
    assert loaded.rows(days) == [(374,)]


def test_amounts(loaded: Shop) -> None:
    """Positive and negative amounts as in the file, to the cent; refunds cost a tenth."""
    gross, refunds, fees, net = loaded.rows(
        "SELECT sum(gross), sum(refunds), sum(fees), sum(net) FROM marts.daily_sales"
    )[0]
    assert (gross, refunds) == (Decimal("10666684.54"), Decimal("896812.49"))
    assert net == gross - refunds + fees


def test_lines_without_a_customer_are_kept(loaded: Shop) -> None:
    """135,080 name none; two of them are in quarantine."""
    assert loaded.rows("SELECT count(*) FROM gold.fact_sales WHERE customer_key = 0") == [(135_080 - 2,)]


def test_products_are_named_as_most_often(loaded: Shop) -> None:
    """Codes in either letter case are one product; postage and the like are none."""
    rows = loaded.rows(
        """
        SELECT product_id, product_name, category FROM gold.dim_product_current
        WHERE product_id IN ('85123A', 'POST', 'D') ORDER BY 1
        """
    )
    assert rows == [
        ("85123A", "WHITE HANGING HEART T-LIGHT HOLDER", None),
        ("D", "Discount", "Non-product"),
        ("POST", "POSTAGE", "Non-product"),
    ]


def test_order_of_arrival_does_not_matter(real_data: Path, tmp_path: Path) -> None:
    """A month's files in three shuffled portions give the same tables (a year's: `benchmarks.arrival_order`)."""
    files = [file for file in real_files(real_data, "online_retail", "invoices") if file.name.startswith("2011-11")]
    shuffled = random.Random(7).sample(files, len(files))
    expected = _tables_after(tmp_path / "at once", [files])
    found = _tables_after(tmp_path / "in portions", [shuffled[start::3] for start in range(3)])
    assert expected["gold.fact_sales"].height > 80_000
    assert list(found) == list(expected)
    for name, frame in expected.items():
        assert_frame_equal(found[name], frame)


def _tables_after(folder: Path, portions: Sequence[list[Path]]) -> Mapping[str, pl.DataFrame]:
    with Shop(folder, sources="online_retail") as shop:
        for portion in portions:
            put(folder, "online_retail", "invoices", portion)
            assert not shop.load().errors
        assert shop.load(snapshots=True).snapshot_runs == 1
        return shop.tables()
