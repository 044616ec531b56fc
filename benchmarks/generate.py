"""How long does `retail generate` take? Whole processes, medians, peak memory.

    python -m benchmarks.generate [--days 365] [--orders-per-day 1400] [--runs 3]

By default about a million order lines. Each run writes to a folder of its own, which is removed.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import polars as pl

from benchmarks.load import measure


def main() -> None:
    """Generate several times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--orders-per-day", type=int, default=1400)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    command = [sys.executable, "-m", "retail_platform.cli", "generate"]
    command += ["--days", str(given.days), "--orders-per-day", str(given.orders_per_day)]
    figures, rows, size = [], 0, 0
    for _ in range(given.runs):
        folder = Path(tempfile.mkdtemp(prefix="generate-"))
        try:
            figures.append(measure([*command, "--out", str(folder)], os.environ))
            rows = pl.scan_csv(folder / "orders" / "*.csv", infer_schema=False, has_header=False, separator="\0")
            rows = rows.select(pl.len()).collect().item()
            size = sum(file.stat().st_size for file in folder.rglob("*.csv"))
        finally:
            shutil.rmtree(folder)
    seconds = [run[0] for run in figures]
    print(f"{rows:,} order rows as delivered, {size / 1e6:,.0f} MB of files")
    print(f"{'median s':>9} {'min':>7} {'max':>7} {'peak MB':>8}")
    peak = max(run[1] for run in figures)
    print(f"{statistics.median(seconds):9.1f} {min(seconds):7.1f} {max(seconds):7.1f} {peak:8.0f}")


if __name__ == "__main__":
    main()
