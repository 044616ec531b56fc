"""How long from a file's arrival until its rows are in the published warehouse? Default settings, all sources active.

    python -m benchmarks.arrival [--drops 20] [--days 90]

A generated shop is loaded first. Then files with one order each arrive at random moments, one after the other, while
webserver, daemon and sensors run as `retail up` starts them. A reader looks for each order ten times a second.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from retail_platform.instance.home import open_instance
from retail_platform.instance.services import Services, free_port, running
from retail_platform.lake.warehouse import Warehouse
from retail_platform.settings import Settings

_HEADER = "order_id,order_date,customer_id,product_id,quantity,order_status,payment_mode,line_number\n"
_POLL_SECONDS = 0.1
_MOST_SECONDS = 120


def main() -> None:
    """Load a shop, let files arrive, and print the distribution and the time line of the slowest and the median."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--drops", type=int, default=20)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="arrival-")) / "data"
    os.environ["RETAIL_DATA_DIR"] = str(root)
    retail = [sys.executable, "-m", "retail_platform.cli"]
    try:
        subprocess.run([*retail, "generate", "--days", str(given.days)], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*retail, "load"], check=False, stdout=subprocess.DEVNULL)
        with open_instance(root) as instance:
            services = Services(
                "retail_platform.definitions", host="127.0.0.1", port=free_port("127.0.0.1"), log=root / "dagster.log"
            )
            with running(services):
                services.wait_until_ready()
                time.sleep(15)
                arrivals = let_arrive(root, given.drops, random.Random(given.seed))
            report(instance, arrivals)
    finally:
        shutil.rmtree(root.parent)


def let_arrive(root: Path, drops: int, chance: random.Random) -> list[tuple[float, float]]:
    """When each file arrived, and when its order was seen."""
    settings = Settings.model_validate({"data_dir": root})
    warehouse = Warehouse(settings.warehouse_dir)
    folder = settings.landing_dir / "storefront" / "orders"
    arrivals = []
    for number in range(drops):
        time.sleep(chance.uniform(2, 12))
        day = datetime.now(UTC).date() - timedelta(days=1 + number % 5)
        order = f"ARRIVAL-{number}"
        line = f"{order},{day},C00001,P0001,1,Completed,Card,1\n"
        copy = folder / f".{order}.csv"
        copy.write_text(_HEADER + line, encoding="utf-8")
        copy.rename(folder / f"{order}_{day}.csv")
        arrived = time.time()
        while not is_there(warehouse, order):
            if time.time() - arrived > _MOST_SECONDS:
                sys.exit(f"{order} is not there after {_MOST_SECONDS} s; see {root / 'dagster.log'}")
            time.sleep(_POLL_SECONDS)
        arrivals.append((arrived, time.time()))
        print(f"{number + 1:3} {arrivals[-1][1] - arrived:6.1f} s", flush=True)
    return arrivals


def is_there(warehouse: Warehouse, order: str) -> bool:
    """Whether a reader of the published warehouse sees the order, in silver and in gold."""
    with warehouse.connect() as con:
        found = con.sql("SELECT count(*) FROM gold.fact_sales WHERE order_id = $1", params=[order]).fetchall()
    return found == [(1,)]


def report(instance: dg.DagsterInstance, arrivals: list[tuple[float, float]]) -> None:
    """Print the distribution, and the time line of two drops."""
    seconds = sorted(seen - arrived for arrived, seen in arrivals)
    half, most = (seconds[min(round(share * len(seconds)), len(seconds) - 1)] for share in (0.5, 0.95))
    print(f"\n{len(seconds)} drops, seconds: " + " ".join(f"{one:.1f}" for one in seconds))
    print(f"min {seconds[0]:.1f}  median {half:.1f}  p95 {most:.1f}  max {seconds[-1]:.1f} s")
    in_order = sorted(arrivals, key=lambda arrival: arrival[1] - arrival[0])
    for name, (arrived, seen) in {"median": in_order[len(in_order) // 2], "slowest": in_order[-1]}.items():
        print(f"\ntime line of the {name} drop, seconds after its arrival")
        for moment, what in time_line(instance, arrived, seen):
            print(f"{moment - arrived:7.2f}  {what}")


def time_line(instance: dg.DagsterInstance, arrived: float, seen: float) -> list[tuple[float, str]]:
    """What happened between the arrival and the end of the run that loaded the file."""
    after = datetime.fromtimestamp(arrived, UTC)
    found = instance.get_run_records(dg.RunsFilter(created_after=after), order_by="id", ascending=True, limit=1)
    run = found[0].dagster_run
    told = {
        dg.DagsterEventType.RUN_ENQUEUED: "the sensor asks for a run",
        dg.DagsterEventType.RUN_STARTING: "dequeued",
        dg.DagsterEventType.RUN_START: "run starts",
        dg.DagsterEventType.STEP_START: "step",
        dg.DagsterEventType.RUN_SUCCESS: "run ends",
    }
    events = [
        (entry.timestamp, f"{told[entry.dagster_event.event_type]} {entry.step_key or ''}")
        for entry in instance.all_logs(run.run_id)
        if entry.dagster_event and entry.dagster_event.event_type in told
    ]
    return sorted([*events, (seen, "a reader sees it")])


if __name__ == "__main__":
    main()
