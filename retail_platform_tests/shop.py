"""A shop for tests: files are delivered to landing and loaded as `retail load` does, then tables are read."""

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import dagster as dg
import polars as pl

from retail_platform.definitions import build_defs
from retail_platform.instance.home import ensure_home
from retail_platform.landing.drops import ScanReport, scan
from retail_platform.loading import Loader, LoadReport
from retail_platform.platform import Platform
from retail_platform.settings import Settings
from retail_platform.source_catalog import load_sources
from retail_platform.source_spec import SourceSpec

TECHNICAL = ("created_at", "updated_at", "quarantined_at", "_dropped_at")
"""Columns that tell when something arrived: all else is the same for any order of arrival."""


class Shop:
    """A platform in a folder of its own, with a Dagster instance as shipped."""

    def __init__(
        self, root: Path, *, feeds: Mapping[str, Mapping[str, object]] | None = None, **settings: object
    ) -> None:
        """Open a shop.

        Args:
            root: Its data folder.
            feeds: By `source/feed`, what is declared otherwise than in the bundle (`{"delivery": "snapshot"}`).
            settings: Settings other than the defaults.
        """
        self.settings = Settings.model_validate({"data_dir": root, **settings})
        sources = load_sources(self.settings.sources)
        for name, changes in (feeds or {}).items():
            source, feed = name.split("/")
            sources[source] = _declared_otherwise(sources[source], feed, changes)
        self.platform = Platform(settings=self.settings, sources=sources)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.platform.ledger.close()
        if "instance" in self.__dict__:
            self.instance.dispose()

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """The shipped Dagster instance, in the data folder."""
        home = ensure_home(self.settings.root)
        os.environ["DAGSTER_HOME"] = str(home)
        try:
            return dg.DagsterInstance.from_config(str(home))
        finally:
            del os.environ["DAGSTER_HOME"]

    @cached_property
    def definitions(self) -> dg.Definitions:
        """All assets and jobs, working on this shop."""
        return build_defs(self.platform)

    def deliver(self, path: str, content: str | bytes, *, at: str = "2024-07-01T06:00:00") -> Path:
        """Put a file into landing (`<source>/<feed>/<name>`), modified at an instant (UTC)."""
        file = self.settings.landing_dir / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        modified = datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
        os.utime(file, (modified, modified))
        return file

    def scan(self) -> dict[str, ScanReport]:
        """Look at landing, and take what is new into the ledger."""
        return {name: scan(lane) for name, lane in self.platform.lanes.items()}

    def load(self, *sources: str, scan: bool = True, snapshots: bool = False) -> LoadReport:
        """Take everything new to the warehouse.

        Args:
            sources: All active ones if none is named.
            scan: Whether to look for new files; else what the ledger knows already is loaded.
            snapshots: Whether snapshots follow, as they do for users; most tests look at none, and need not wait.
        """
        if scan:
            self.scan()
        loader = (Loader if snapshots else _LoaderWithoutSnapshots)(
            platform=self.platform, definitions=self.definitions, instance=self.instance, on_step=lambda *_: None
        )
        return loader.load(sources or self.platform.sources)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the warehouse answers."""
        with self.platform.warehouse.connect() as con:
            return con.sql(sql).fetchall()

    def frame(self, sql: str) -> pl.DataFrame:
        """What the warehouse answers, as a frame."""
        with self.platform.warehouse.connect() as con:
            return con.sql(sql).pl()

    def tables(self, schemas: Iterable[str] = ("silver", "gold", "marts")) -> Mapping[str, pl.DataFrame]:
        """Every table and view, sorted, without the technical columns."""
        found = {}
        with self.platform.warehouse.connect() as con:
            names = con.sql("SELECT table_schema, table_name FROM information_schema.tables ORDER BY ALL").fetchall()
            for schema, name in names:
                if schema in schemas:
                    frame = con.sql(f'FROM "{schema}"."{name}"').pl()
                    kept = frame.select(pl.all().exclude(*TECHNICAL))
                    found[f"{schema}.{name}"] = kept.sort(pl.all(), nulls_last=True, maintain_order=True)
        return found

    def checks(self, check: str) -> dict[object, object]:
        """Whether a check passed, by day, on every table that has it, as its newest results say."""
        sql = f"""
            WITH newest AS (
                SELECT asset, partition, arg_max(passed, checked_at) AS passed FROM ops.check_results
                WHERE check_name = '{check}' GROUP BY ALL
            )
            SELECT partition, bool_and(passed) FROM newest GROUP BY 1 ORDER BY 1
        """
        return dict(self.rows(sql))  # pyrefly: ignore[no-matching-overload] - two columns

    def evaluations(self, asset: str, check: str) -> dict[date, dg.AssetCheckEvaluation]:
        """The newest result of a check of an asset (`bronze/storefront/orders`) for each day, as Dagster has it."""
        key = dg.AssetCheckKey(dg.AssetKey(asset.split("/")), check)
        found: dict[date, dg.AssetCheckEvaluation] = {}
        for record in self.instance.event_log_storage.get_asset_check_execution_history(key, limit=10_000):
            event = record.event.dagster_event if record.event else None
            if event is not None and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                evaluation = event.asset_check_evaluation_data
                if evaluation.partition is not None:
                    found.setdefault(date.fromisoformat(evaluation.partition), evaluation)
        return found


class _LoaderWithoutSnapshots(Loader):
    def take_snapshots(self, report: LoadReport) -> None:
        pass


def _declared_otherwise(spec: SourceSpec, feed: str, changes: Mapping[str, object]) -> SourceSpec:
    declared = spec.model_dump()
    declared["feeds"][feed] |= changes
    return SourceSpec.model_validate(declared)


def shared_data() -> Path | None:
    """The folder of real data, if there is one."""
    named = os.environ.get("RETAIL_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None
