"""Does the order of arrival matter? The 305 daily files of online_retail, at once, in portions, and one by one.

    python -m benchmarks.arrival_order ../shared/data/online_retail [--files 305] [--seed 1]

Each way is loaded into an empty platform; then every table of silver, gold and marts is compared with that of the load
at once, technical timestamps aside. Exits with 1 if one differs.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from retail_platform_tests.shop import Shop


def main() -> None:
    """Load in three ways, and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="the daily files")
    parser.add_argument("--files", type=int, default=305, help="only the first so many")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    files = sorted(given.folder.glob("*.csv"))[: given.files]
    shuffled = random.Random(given.seed).sample(files, len(files))
    ways = {
        "at once": [files],
        "three portions, shuffled": [shuffled[start::3] for start in range(3)],
        "one by one, shuffled": [[file] for file in shuffled],
    }
    expected = None
    for name, portions in ways.items():
        seconds, tables = load(portions)
        expected = expected or tables
        differing = [table for table in expected if not is_equal(expected[table], tables[table])]
        rows = sum(frame.height for frame in tables.values())
        verdict = f"DIFFERS in {', '.join(differing)}" if differing else "equal"
        print(
            f"{name}: {len(portions)} loads in {seconds:.0f} s, {len(tables)} tables, {rows:,} rows: {verdict}",
            flush=True,
        )
        if differing:
            sys.exit(1)


def load(portions: Sequence[Sequence[Path]]) -> tuple[float, Mapping[str, pl.DataFrame]]:
    """Load portions of files one after the other; the seconds it took, and the tables."""
    folder = Path(tempfile.mkdtemp(prefix="arrival-"))
    try:
        with Shop(folder / "data", sources="online_retail") as shop:
            landing = shop.settings.landing_dir / "online_retail" / "invoices"
            landing.mkdir(parents=True)
            started = time.perf_counter()
            for portion in portions:
                for file in portion:
                    shutil.copy2(file, landing)
                report = shop.load("online_retail")
                if report.errors:
                    sys.exit("\n".join(report.errors))
            return time.perf_counter() - started, shop.tables()
    finally:
        shutil.rmtree(folder)


def is_equal(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    """Whether two tables hold the same."""
    try:
        assert_frame_equal(one, other)
    except AssertionError as difference:
        print(difference)
        return False
    return True


if __name__ == "__main__":
    main()
