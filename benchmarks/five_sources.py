"""How long does `retail load` take for the real files of all five systems at once, from an empty folder?

    python -m benchmarks.five_sources ../shared/data

The first load, snapshots included; then again, when there is nothing to do.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import duckdb

from benchmarks.load import measure
from retail_platform_tests.e2e.real_files import LANDING, put, real_files

_COUNTED = """
    SELECT sum(bronze_rows)::INT, count(DISTINCT (source, day)) FILTER (bronze_rows > 0),
        (SELECT count(*) FROM ops.check_results)
    FROM ops.books
"""


def main() -> None:
    """Measure, and say how much it was."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="the folder of real data")
    given = parser.parse_args()
    data = Path(tempfile.mkdtemp(prefix="five-")) / "data"
    try:
        for source, feeds in LANDING.items():
            for feed in feeds:
                put(data, source, feed, real_files(given.folder, source, feed))
        environment = os.environ | {"RETAIL_DATA_DIR": str(data), "RETAIL_SOURCES": ",".join(LANDING)}
        for name in ("retail load", "retail load, again"):
            seconds, peak = measure([sys.executable, "-m", "retail_platform.cli", "load"], environment)
            print(f"{name:20} {seconds:6.1f} s, peak {peak:5.0f} MB")
        with duckdb.connect(data / "warehouse" / "retail.duckdb", read_only=True) as con:
            rows, days, checks = con.sql(_COUNTED).fetchall()[0]
        print(f"{rows:,} rows on {days:,} days; {checks:,} results of checks")
    finally:
        shutil.rmtree(data.parent)


if __name__ == "__main__":
    main()
