"""The platform of one data folder: its settings, sources, lanes and tables, put together in one place.

Nothing is opened before it is used, so this can be built at import.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property

import polars as pl

from retail_platform.contracts.contract import Contract
from retail_platform.contracts.gold import GOLD
from retail_platform.contracts.marts import MARTS
from retail_platform.contracts.silver import ENTITIES, QUARANTINE
from retail_platform.engines.engine import Engine
from retail_platform.engines.polars import PolarsEngine
from retail_platform.lake.parquet import LakeTable
from retail_platform.lake.warehouse import Warehouse
from retail_platform.landing.lane import Lane, lanes
from retail_platform.landing.ledger import Ledger
from retail_platform.settings import Settings, current_settings
from retail_platform.source_catalog import Words, load_sources
from retail_platform.source_spec import SourceSpec

QUARANTINE_SUFFIX = "_quarantine"

CHECK_RESULTS = pl.Schema(
    {
        "checked_on": pl.Date(),
        "checked_at": pl.Datetime("us", "UTC"),
        "run_id": pl.String(),
        "asset": pl.String(),
        "check_name": pl.String(),
        "partition": pl.Date(),
        "passed": pl.Boolean(),
        "severity": pl.String(),
        "failed_rows": pl.Int64(),
        "total_rows": pl.Int64(),
    }
)
"""Columns of `ops.check_results`: every check of every day of every run."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Platform:
    """All that belongs to one data folder."""

    settings: Settings
    sources: Mapping[str, SourceSpec]

    @classmethod
    def from_settings(cls, settings: Settings) -> "Platform":
        """The platform with the active sources, their declarations checked against the contracts.

        Raises:
            DeclarationError: a source is declared wrongly.
        """
        words = {
            name: Words(columns=contract.declarable, rules=[rule.name for rule in contract.rules])
            for name, contract in ENTITIES.items()
        }
        return cls(settings=settings, sources=load_sources(settings.sources, words=words))

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger."""
        return Ledger(self.settings.ledger_location)

    @cached_property
    def engine(self) -> Engine:
        """What runs the transformations."""
        return PolarsEngine()

    @cached_property
    def lanes(self) -> Mapping[str, Lane]:
        """Each source's way from landing to silver."""
        return lanes(self.sources, self.settings, self.ledger)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The DuckDB copy of the lake."""
        return Warehouse(self.settings.warehouse_dir)

    @property
    def last_day(self) -> date:
        """The last daily partition: today (UTC)."""
        return datetime.now(UTC).date()

    @property
    def check_results(self) -> LakeTable:
        """The history of check results, one file per run and asset, by the day of checking."""
        return LakeTable(
            root=self.settings.lake_dir / "ops" / "check_results", partition_column="checked_on", schema=CHECK_RESULTS
        )

    def contract(self, key: Sequence[str]) -> Contract | None:
        """The contract of the table with this asset key; bronze tables have none."""
        match list(key):
            case ["silver", source, entity] if source in self.sources:
                if entity.endswith(QUARANTINE_SUFFIX):
                    return QUARANTINE
                spec = self.sources[source]
                return ENTITIES[spec.entity_of(entity)] if entity in spec.entities else None
            case ["gold", table]:
                return GOLD.get(table)
            case ["marts", table]:
                return MARTS.get(table)
            case _:
                return None

    def table(self, key: Sequence[str]) -> LakeTable:
        """The lake table with this asset key.

        Raises:
            KeyError: there is no such table.
        """
        match list(key):
            case ["bronze", source, feed] if source in self.sources and feed in self.sources[source].feeds:
                return self.lanes[source].bronze(feed)
        contract = self.contract(key)
        if contract is None:
            raise KeyError("/".join(key))
        return LakeTable(
            root=self.settings.lake_dir.joinpath(*key),
            partition_column=contract.partition_column,
            schema=contract.schema,
        )

    def silver_tables(self, entity: str) -> list[LakeTable]:
        """The silver tables of an entity, of all sources that have it."""
        return [
            self.table(["silver", name, table])
            for name, spec in self.sources.items()
            for table in spec.tables_of(entity)
        ]


_ASSEMBLED: ContextVar[Platform | None] = ContextVar("assembled", default=None)


@contextmanager
def assembling(platform: Platform) -> Iterator[None]:
    """While it lasts, definitions are built for this platform."""
    token = _ASSEMBLED.set(platform)
    try:
        yield
    finally:
        _ASSEMBLED.reset(token)


def assembled_platform() -> Platform:
    """The platform that definitions are being built for: the environment's, unless `assembling` names another.

    Modules under `defs/` are loaded by folder and take no arguments, so this is how they learn it.
    """
    return _ASSEMBLED.get() or Platform.from_settings(current_settings())
