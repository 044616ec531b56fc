"""`retail init`, `retail up`, `retail demo`: the data folder, and Dagster running on it."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from retail_platform.commands.console import Landing, UserError, open_landing
from retail_platform.commands.generate import generate
from retail_platform.commands.query import query
from retail_platform.contracts.snapshot_names import SNAPSHOTS
from retail_platform.instance.home import ensure_home, open_instance
from retail_platform.instance.orphans import release_orphans
from retail_platform.instance.run_history import is_under_way
from retail_platform.instance.services import ServiceError, Services, free_port, running
from retail_platform.lake.snapshots import SnapshotShelf
from retail_platform.landing.finding import find_files
from retail_platform.settings import Settings

HOST = "127.0.0.1"
PORT = 3000
_MODULE = "retail_platform.definitions"
_DEMO = "storefront"
_DEMO_ORDERS = 40
_DEMO_DIRT = 0.02
_DEMO_SECONDS = 600
_ENV = """\
# Read by `dagster dev`, so that it finds the platform's Dagster instance. Written by `retail init`; yours to change.
DAGSTER_HOME=${{DAGSTER_HOME:-{home}}}
"""
_FIRST_ANSWER = """
SELECT strftime(order_date, '%Y-%m') AS month, sum(orders) AS orders, sum(gross) AS gross, sum(refunds) AS refunds,
  sum(net) AS net FROM marts.daily_sales GROUP BY 1 ORDER BY 1
"""


def init(out: Console) -> None:
    """Make the data folder: a landing folder per feed, Dagster's home, and `.env` for `dagster dev`."""
    landing = open_landing()
    _make_folders(landing)
    home = ensure_home(landing.settings.root)
    env = Path(".env")
    if not env.exists():
        env.write_text(_ENV.format(home=home), encoding="utf-8")
    out.print(f"Put files into {landing.settings.landing_dir}/<source>/<feed>/.", markup=False)


def up(out: Console, *, host: str, port: int) -> int:
    """Run Dagster until Ctrl-C; the exit code."""
    landing = open_landing()
    with _services(landing, out, host=host, port=port) as services:
        _say_where(out, services, landing.settings)
        return _stay_up(out, services)


def demo(out: Console, *, port: int, days: int, headless: bool) -> int:
    """Generate a shop, let the sensors load it, show a first answer; stay up unless headless. The exit code."""
    started = time.monotonic()
    landing = open_landing()
    landing.named(_DEMO)
    if find_files(landing.settings.landing_dir, _DEMO, landing.lanes[_DEMO].spec.feeds).files:
        out.print(f"landing/{_DEMO} has files already: they are loaded, and none are generated.")
    else:
        generate(out, days=days, orders_per_day=_DEMO_ORDERS, start=None, seed=1, dirt=_DEMO_DIRT, folder=None)
    with _services(landing, out, host=HOST, port=free_port(HOST) if headless else port) as services:
        out.print(f"Dagster is up after {time.monotonic() - started:.0f} s. Its sensors load the files ...")
        _wait_until_loaded(landing, services)
        out.print(f"All is loaded after {time.monotonic() - started:.0f} s. Sales by month:\n")
        query(out, _FIRST_ANSWER, "table")
        out.print()
        _say_where(out, services, landing.settings)
        if headless:
            return _tell_failures(landing, out)
        return _stay_up(out, services)


@contextmanager
def _services(landing: Landing, out: Console, *, host: str, port: int) -> Iterator[Services]:
    _make_folders(landing)
    log = landing.settings.root / "dagster" / "dagster.log"
    with open_instance(landing.settings.root) as instance:
        for run in release_orphans(instance):
            out.print(f"Run {run} had died; its place is free again.")
    # Whoever stops us with a signal stops Dagster, too. A shell's background job ignores Ctrl-C, and so would Dagster.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with running(Services(_MODULE, host=host, port=port, log=log)) as services:
            services.wait_until_ready()
            yield services
    except ServiceError as error:
        raise UserError(str(error)) from error


def _stay_up(out: Console, services: Services) -> int:
    try:
        # Within: whoever reads it may press Ctrl-C before the next line.
        out.print("Ctrl-C ends it.")
        return services.wait()
    except KeyboardInterrupt:
        out.print("Stopping ...")
        return 0


def _tell_failures(landing: Landing, out: Console) -> int:
    failures = landing.ledger.drops(statuses=("held", "rejected"))
    for drop in failures:
        out.print(f"{drop.status} {drop.path}: {drop.message}", markup=False)
    return 1 if failures else 0


def _make_folders(landing: Landing) -> None:
    for name, lane in landing.lanes.items():
        for feed in lane.spec.feeds:
            (landing.settings.landing_dir / name / feed).mkdir(parents=True, exist_ok=True)


def _wait_until_loaded(landing: Landing, services: Services) -> None:
    until = time.monotonic() + _DEMO_SECONDS
    with open_instance(landing.settings.root) as instance:
        while not (_is_loaded(landing) and _has_snapshots(landing)) or is_under_way(instance, SNAPSHOTS):
            services.check()
            if time.monotonic() > until:
                raise UserError(f"Not all is loaded within {_DEMO_SECONDS} s; see the runs at {services.url}/runs")
            time.sleep(0.5)


def _is_loaded(landing: Landing) -> bool:
    """Whether every file is in the ledger, and no day waits."""
    for name, lane in landing.lanes.items():
        known = landing.ledger.file_states(name)
        files = find_files(landing.settings.landing_dir, name, lane.spec.feeds).files
        if any(file.path not in known for file in files) or landing.ledger.dirty_days(name):
            return False
    return True


def _has_snapshots(landing: Landing) -> bool:
    """Whether today's snapshots are in the lake; the run that takes them publishes them, too."""
    settings = landing.settings
    shelf = SnapshotShelf(lake_dir=settings.lake_dir, thresholds=settings.snapshot_thresholds)
    return not shelf.overdue(datetime.now(UTC).date())


def _say_where(out: Console, services: Services, settings: Settings) -> None:
    lines = {
        "all tables": f"{services.url}/asset-groups",
        "runs": f"{services.url}/runs",
        "what the sensors see": f"{services.url}/automation",
        "put files into": f"{settings.landing_dir}/<source>/<feed>/",
        "ask": 'retail query "FROM marts.daily_sales"',
        "the database": str(settings.warehouse_dir / "retail.duckdb"),
        "what is wrong in the files": "retail quarantine list",
        "what Dagster logs": str(services.log),
    }
    for what, where in lines.items():
        out.print(f"  {what:<28}{escape(where)}", highlight=False)
