"""The days of a range, computed in one run or each in a run of its own, in any order: the same tables."""

import random
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.components.days import PUBLISH, job_name
from retail_platform.contracts.snapshot_names import SNAPSHOTS
from retail_platform.instance.headless import run_range
from retail_platform.lake.parquet import each_day
from retail_platform_tests import scenario
from retail_platform_tests.integration import test_headers, test_two_systems
from retail_platform_tests.shop import Shop

SOURCES = ("storefront", "online_retail", "erp_crm", "olist")
OLIST_FILES = {path: content for path, content in test_headers.OPENING.items() if "base" not in path}
FILES = scenario.FILES | scenario.LATER_FILES | scenario.INVOICE_FILES | test_two_systems.FILES | OLIST_FILES
NEARBY = timedelta(days=7)


def delivered(folder: Path) -> Shop:
    """A shop with files of four systems, of which bronze has taken all."""
    shop = Shop(folder / "data", sources=SOURCES)
    for path, content in FILES.items():
        shop.deliver(path, content)
    shop.scan()
    for source in SOURCES:
        for first, last in stretches(shop.platform.ledger.dirty_days(source)):
            compute(shop, source, first, last, "bronze")
    return shop


def stretches(days: list[date]) -> list[tuple[date, date]]:
    """Days that lie near each other, from first to last."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day - found[-1][1] <= NEARBY:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def compute(shop: Shop, source: str, first: date, last: date, *layers: str) -> None:
    """Run some layers of a source's job over a range, as a backfill does."""
    keys = shop.definitions.resolve_job_def(job_name(source)).asset_layer.executable_asset_keys
    run(shop, job_name(source), first, last, assets=[key for key in keys if key.path[0] in layers])


def run(shop: Shop, job: str, first: date, last: date, assets: Collection[dg.AssetKey] | None = None) -> None:
    """Run a job, or some assets of it."""
    result = run_range(
        shop.definitions,
        job,
        instance=shop.instance,
        start_day=first.isoformat(),
        end_day=last.isoformat(),
        asset_selection=assets,
    )
    assert result.errors == []


def tables(shop: Shop) -> Mapping[str, pl.DataFrame]:
    """All tables, published, with today's snapshots."""
    today = shop.platform.last_day
    run(shop, PUBLISH, today, today)
    run(shop, SNAPSHOTS, today, today)
    return shop.tables()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3])
def test_a_range_in_one_run_is_its_days_in_any_order(tmp_path: Path, seed: int) -> None:
    layers = ("silver", "gold", "marts")
    with delivered(tmp_path / "ranges") as shop:
        found = {source: stretches(shop.platform.ledger.dirty_days(source)) for source in SOURCES}
        for source, ranges in found.items():
            for first, last in ranges:
                compute(shop, source, first, last, *layers)
        expected = tables(shop)
    ranges_of_all = [(source, *days) for source, ranges in found.items() for days in ranges]
    days = [(source, day) for source, first, last in ranges_of_all for day in each_day(first, last)]
    assert len(days) > 30
    with delivered(tmp_path / "days") as shop:
        for source, day in random.Random(seed).sample(days, len(days)):
            compute(shop, source, day, day, *layers)
        one_by_one = tables(shop)
    assert list(one_by_one) == list(expected)
    for name, frame in expected.items():
        assert_frame_equal(one_by_one[name], frame)
