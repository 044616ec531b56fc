"""How long Dagster's bookkeeping takes for a day of an asset, and for a day of a check: stock event log and ours.

    python -m benchmarks.event_log [--days 365]

Runs a chain of 9 assets, and an asset with 12 checks, over a range of days in one run, with assets that do nothing, so
that all of the time is Dagster's: planning, events, log lines. Each storage has a process and a home of its own; the
stock one takes minutes. Exits with 1 if ours misses its targets.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

from retail_platform.instance.day_checks import DayResult, day_check_spec, report_days, summarize
from retail_platform.instance.headless import run_range
from retail_platform.instance.home import ensure_home

ASSETS = 9
CHECKS = 12
TARGET_MS_PER_ASSET_DAY = 2.5
TARGET_MS_PER_CHECK_DAY = 1.0
DAYS = dg.DailyPartitionsDefinition("2020-01-01", end_date="2026-01-01")


class _Nowhere(dg.IOManager):
    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Store nothing."""

    def load_input(self, context: dg.InputContext) -> int:  # noqa: ARG002  the signature is Dagster's
        """Load nothing."""
        return 0


def _link(position: int) -> dg.AssetsDefinition:
    upstream = {"before": dg.AssetIn(f"asset_{position - 1}")} if position else {}

    @dg.asset(name=f"asset_{position}", ins=upstream, partitions_def=DAYS)
    def link(**_inputs: int) -> int:
        return position

    return link


def _checked(check_count: int) -> dg.AssetsDefinition:
    key = dg.AssetKey(f"with_{check_count}_checks")
    names = [f"check_{position}" for position in range(check_count)]

    @dg.multi_asset(
        name=key.path[0],
        outs={"out": dg.AssetOut(key=key)},
        check_specs=[day_check_spec(name, asset=key, partitions_def=DAYS) for name in names],
        partitions_def=DAYS,
    )
    def checked(context: dg.AssetExecutionContext) -> Iterator[dg.Output[int] | dg.AssetCheckResult]:
        yield dg.Output(0, output_name="out")
        results = [
            DayResult(
                asset_key=key,
                check_name=name,
                day=day,
                passed=True,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"rows": 1000, "failed_rows": 0},
            )
            for name in names
            for day in context.partition_keys
        ]
        report_days(context, results)
        yield from summarize(results)

    return checked


def _definitions() -> dg.Definitions:
    chain = [_link(position) for position in range(ASSETS)]
    plain, checked = _checked(0), _checked(CHECKS)
    return dg.Definitions(
        assets=[*chain, plain, checked],
        jobs=[
            dg.define_asset_job("chain", selection=chain),
            dg.define_asset_job("plain", selection=[plain]),
            dg.define_asset_job("checked", selection=[checked]),
        ],
        resources={"io_manager": _Nowhere()},
        executor=dg.in_process_executor,
    )


def _measure(days: int) -> dict[str, float]:
    definitions = _definitions()
    keys = DAYS.get_partition_keys()[:days]
    seconds: dict[str, float] = {}
    with dg.DagsterInstance.get() as instance:
        # The first run of a process pays for imports and for the tables.
        run_range(definitions, "plain", instance=instance, start_day=keys[0], end_day=keys[0])
        for job in ("chain", "plain", "checked"):
            started = time.perf_counter()
            result = run_range(definitions, job, instance=instance, start_day=keys[0], end_day=keys[-1])
            seconds[job] = time.perf_counter() - started
            if not result.success:
                raise RuntimeError(f"{job}: {result.errors}")
    return {
        "ms_per_asset_day": 1000 * seconds["chain"] / (ASSETS * days),
        "ms_per_check_day": 1000 * (seconds["checked"] - seconds["plain"]) / (CHECKS * days),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _in_own_process(storage: str, days: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if storage == "ours":
            home = ensure_home(home)
        else:
            (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_EVENT_BATCH_SIZE"}
        finished = subprocess.run(
            [sys.executable, "-m", "benchmarks.event_log", "--days", str(days), "--measure"],
            env={**environment, "DAGSTER_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    return json.loads(finished.stdout)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both, print them side by side, and compare ours with the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--only", choices=["stock", "ours"], help="measure one storage")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        print(json.dumps(_measure(options.days)))
        return 0
    print(f"{options.days} days      ms per asset-day    ms per check-day    peak memory")
    for storage in [options.only] if options.only else ["stock", "ours"]:
        found = _in_own_process(storage, options.days)
        print(
            f"{storage:<14}{found['ms_per_asset_day']:>14.2f}{found['ms_per_check_day']:>20.2f}"
            f"{found['peak_memory_mb']:>15.0f} MB"
        )
    if options.only == "stock":
        return 0
    is_fast = (
        found["ms_per_asset_day"] <= TARGET_MS_PER_ASSET_DAY and found["ms_per_check_day"] <= TARGET_MS_PER_CHECK_DAY
    )
    print(f"Targets of {TARGET_MS_PER_ASSET_DAY} and {TARGET_MS_PER_CHECK_DAY} ms: {'met' if is_fast else 'missed'}.")
    return 0 if is_fast else 1


if __name__ == "__main__":
    sys.exit(main())
