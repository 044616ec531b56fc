"""How long does `retail load` take, beside the physical limit? Whole processes, medians, peak memory.

    python -m benchmarks.load ../shared/data/online_retail [--runs 3]

For each run: an empty data folder, the files copied to landing, then `retail load` (the whole load), `retail load`
again (nothing to do), and `benchmarks.bare_script` on the same files.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def main() -> None:
    """Measure in turn, so that a noisy machine is noisy for all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="the daily files of online_retail")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    figures: dict[str, list[tuple[float, float]]] = {}
    for _ in range(given.runs):
        folder = Path(tempfile.mkdtemp(prefix="load-"))
        try:
            landing = folder / "data" / "landing" / "online_retail" / "invoices"
            shutil.copytree(given.folder, landing)
            environment = os.environ | {"RETAIL_DATA_DIR": str(folder / "data"), "RETAIL_SOURCES": "online_retail"}
            load = [sys.executable, "-m", "retail_platform.cli", "load"]
            bare = [sys.executable, "-m", "benchmarks.bare_script", str(given.folder), str(folder / "bare")]
            for name, command in {"retail load": load, "retail load, again": load, "bare script": bare}.items():
                figures.setdefault(name, []).append(measure(command, environment))
        finally:
            shutil.rmtree(folder)
    limit = statistics.median(seconds for seconds, _ in figures["bare script"])
    print(f"{'':20} {'median s':>9} {'min':>7} {'max':>7} {'peak MB':>8} {'ratio':>7}")
    for name, runs in figures.items():
        seconds = [run[0] for run in runs]
        middle = statistics.median(seconds)
        peak = max(run[1] for run in runs)
        print(f"{name:20} {middle:9.1f} {min(seconds):7.1f} {max(seconds):7.1f} {peak:8.0f} {middle / limit:7.1f}")


def measure(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds and peak megabytes of a process; ends everything if it fails."""
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        errors = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(errors.decode())
    return time.perf_counter() - started, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
