"""From bronze to silver for a range of days: what a day's rows need from other days is read here, the rest is pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import narwhals as nw
import pandera.errors
import polars as pl

from retail_platform.contracts.contract import Contract
from retail_platform.contracts.rules import PARTITION_DATE, Rule
from retail_platform.contracts.silver import ENTITIES, QUARANTINE
from retail_platform.engines.engine import Engine
from retail_platform.landing.gathering import gather
from retail_platform.landing.lane import Lane
from retail_platform.settings import Settings
from retail_platform.source_catalog import load_hook
from retail_platform.transforms.quality import QUARANTINED_ROWS, ROWS, SUPERSEDED_ROWS, UNDATED_ROWS, tally
from retail_platform.transforms.silver import (
    Refinery,
    derive_members,
    order_rows,
    quarantine_rows,
    refine,
    silver_rows,
)

QUARANTINE_RATE = "quarantine_rate"
CONTRACT = "contract"


@dataclass(frozen=True, kw_only=True)
class RefinedDays:
    """One entity's days, computed and judged, not yet written.

    Attributes:
        silver: Rows for silver (the entity's contract), of all days; those of blocked days must not be written.
        quarantine: Rows for quarantine (contract `quarantine`).
        counts: By day (every one of the range): `rows`, `superseded_rows`, `quarantined_rows`, `undated_rows`, and the
            rows that break each rule.
        blocked: By blocked day, the check that blocks it and why.
    """

    silver: pl.DataFrame
    quarantine: pl.DataFrame
    counts: Mapping[date, Mapping[str, int]]
    blocked: Mapping[date, tuple[str, str]]


def refinery(lane: Lane, entity: str) -> Refinery:
    """What refines an entity of a lane's source."""
    declared = lane.spec.entities[entity]
    return Refinery(
        source=lane.source,
        spec=lane.spec,
        name=entity,
        contract=ENTITIES[lane.spec.entity_of(entity)],
        hook=load_hook(lane.source, declared.hook) if declared.hook else None,
    )


def refine_days(lane: Lane, entity: str, rows: pl.LazyFrame, days: list[date], engine: Engine) -> RefinedDays:
    """Compute an entity's days.

    Args:
        lane: The source.
        entity: The entity.
        rows: The driving feed's bronze rows that are filed under `days`.
        days: The days.
        engine: What runs the transformations.
    """
    how = refinery(lane, entity)
    rows, headers = _own_rows(lane, how, rows, days)
    judged = refine(
        nw.from_native(rows),
        how,
        versions=_versions(lane, how, rows),
        lookups={
            alias: nw.from_native(lane.bronze(lookup.feed).scan()) for alias, lookup in how.entity.lookups.items()
        },
        engine=engine,
        headers=headers,
    ).collect()
    silver = silver_rows(judged.lazy(), how.contract).collect().to_native()
    quarantine = quarantine_rows(judged.lazy(), how, QUARANTINE, engine).collect().to_native()
    counts = _counts(tally(judged.lazy(), how.rules).collect().to_native(), days, how.rules)
    return RefinedDays(
        silver=silver.sort(order_rows(how.contract)),
        quarantine=quarantine.sort(PARTITION_DATE, "_source_file", "_row_number"),
        counts=counts,
        blocked=_blocked_by_rate(counts, lane.settings)
        | _blocked_by_contract(silver, replace(how.contract, rules=how.rules)),
    )


def derive_days(lane: Lane, entity: str, rows: pl.LazyFrame, days: list[date], engine: Engine) -> pl.DataFrame:
    """The members that transactions of some days name (the entity's contract, validated)."""
    how = refinery(lane, entity)
    rows, headers = _own_rows(lane, how, rows, days)
    versions = _versions(lane, how, rows)
    if versions is None:
        raise ValueError(f"{lane.source}/{entity}: members are derived from transactional feeds only")
    members = derive_members(nw.from_native(rows), how, versions=versions, engine=engine, headers=headers)
    frame = members.collect().to_native()
    return how.contract.validate(frame.sort(pl.all().exclude("created_at", "updated_at"), nulls_last=True))


def _own_rows(
    lane: Lane, how: Refinery, filed: pl.LazyFrame, days: list[date]
) -> tuple[pl.LazyFrame, nw.LazyFrame | None]:
    """The rows that are of these days and, of an undated feed, their headers; else a row is of the day of filing."""
    if how.entity.header is None:
        return filed, None
    gathered = gather(lane, how.entity.feed, filed, days)
    return gathered.rows, nw.from_native(gathered.headers)


def _versions(lane: Lane, how: Refinery, rows: pl.LazyFrame) -> nw.LazyFrame | None:
    if how.feed.kind == "master":
        return None
    return nw.from_native(lane.index(how.entity.feed).versions_of(rows))


def _counts(tallied: pl.DataFrame, days: list[date], rules: tuple[Rule, ...]) -> dict[date, dict[str, int]]:
    names = [ROWS, SUPERSEDED_ROWS, QUARANTINED_ROWS, UNDATED_ROWS, *(rule.name for rule in rules)]
    counts = {day: dict.fromkeys(names, 0) for day in days}
    for row in tallied.iter_rows(named=True):
        counts[row.pop(PARTITION_DATE)] = row
    return counts


def _blocked_by_rate(counts: Mapping[date, Mapping[str, int]], settings: Settings) -> dict[date, tuple[str, str]]:
    """Days on which too much is wrong to trust the rest. Rows filed here for want of a date are another day's."""
    blocked = {}
    for day, count in counts.items():
        rows = count[ROWS] - count[SUPERSEDED_ROWS] - count[UNDATED_ROWS]
        bad = count[QUARANTINED_ROWS] - count[UNDATED_ROWS]
        if rows >= settings.quarantine_block_min_rows and bad > settings.quarantine_block_share * rows:
            why = (
                f"{bad:,} of {rows:,} rows ({bad / rows:.0%}) are in quarantine, more than "
                f"{settings.quarantine_block_share:.0%}: look at `retail quarantine list`, and deliver the day again. "
                "Silver keeps what it held."
            )
            blocked[day] = (QUARANTINE_RATE, why)
    return blocked


def _blocked_by_contract(silver: pl.DataFrame, contract: Contract) -> dict[date, tuple[str, str]]:
    """Days whose rows break the contract although they were judged good: something is wrong with us or the source."""
    try:
        contract.validate(silver)
    except pandera.errors.SchemaErrors:
        return {
            day: (CONTRACT, why)
            for (day,), rows in silver.partition_by(contract.partition_column, as_dict=True).items()
            if (why := _breach(rows, contract))
        }
    return {}


def _breach(rows: pl.DataFrame, contract: Contract) -> str:
    try:
        contract.validate(rows)
    except pandera.errors.SchemaErrors as errors:
        return "; ".join(_describe(failure) for failure in errors.schema_errors)
    return ""


def _describe(failure: Any) -> str:  # noqa: ANN401 - pandera does not say
    return f"{getattr(failure.schema, 'name', '') or 'row'}: {failure.check or failure.reason_code}"
