"""How long does a tick of a drop sensor take, with many files in landing?

    python -m benchmarks.sensor_tick [--files 10000] [--ticks 10]

Files of one order each, a hundred a day. Measured are ticks when all are new, when all are loaded, and when five more
have arrived; the ledger is marked as a load marks it.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg

from retail_platform.components.drop_sensor import look_for_drops
from retail_platform.instance.home import open_instance
from retail_platform.landing.drops import scan
from retail_platform.platform import Platform
from retail_platform.settings import Settings

_HEADER = "order_id,order_date,customer_id,product_id,quantity,order_status,payment_mode,line_number\n"
_FILES_A_DAY = 100


def main() -> None:
    """Measure, and print what the ticks said."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--ticks", type=int, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tick-") as folder:
        settings = Settings.model_validate({"data_dir": Path(folder), "sources": "storefront"})
        platform = Platform.from_settings(settings)
        with open_instance(settings.root) as instance:
            deliver(settings, 0, given.files)
            measure("all are new", instance, platform, ticks=given.ticks)
            started = time.perf_counter()
            scan(platform.lanes["storefront"])
            print(f"{'a run reads them all':28} {time.perf_counter() - started:8.1f} s")
            measure("all wait to be loaded", instance, platform, ticks=given.ticks)
            mark_all_loaded(platform)
            measure("all are loaded", instance, platform, ticks=given.ticks)
            deliver(settings, given.files, 5)
            measure("five more have arrived", instance, platform, ticks=1)


def deliver(settings: Settings, first: int, count: int) -> None:
    """Put files into landing, modified an hour ago."""
    folder = settings.landing_dir / "storefront" / "orders"
    folder.mkdir(parents=True, exist_ok=True)
    old = time.time() - 3600
    for number in range(first, first + count):
        day = datetime.now(UTC).date() - timedelta(days=1 + number // _FILES_A_DAY)
        file = folder / f"orders_{day}_{number}.csv"
        file.write_text(f"{_HEADER}O{number},{day},C1,P1,1,Completed,Card,1\n", encoding="utf-8")
        os.utime(file, (old, old))


def mark_all_loaded(platform: Platform) -> None:
    """What a load leaves in the ledger."""
    ledger = platform.ledger
    days = ledger.days_of([drop.drop_id for drop in ledger.drops(source="storefront")])
    ledger.mark_loaded(days, source="storefront", also_dirty=[])
    ledger.finish("storefront", first=date.min, last=date.max, ticket=ledger.last_ticket())


def measure(what: str, instance: dg.DagsterInstance, platform: Platform, *, ticks: int) -> None:
    """Evaluate the sensor several times."""
    seconds, said = zip(
        *(timed(lambda: look_for_drops(instance, platform, "storefront", cursor=None)[1]) for _ in range(ticks)),
        strict=True,
    )
    print(f"{what:28} {statistics.median(seconds):8.2f} s  (max {max(seconds):.2f})  {said[-1][:110]}")


def timed(tick: Callable[[], str]) -> tuple[float, str]:
    """How long it took, and what it said."""
    started = time.perf_counter()
    said = tick()
    return time.perf_counter() - started, said


if __name__ == "__main__":
    main()
