"""One entity of a source computed from the text of its files, without landing, lake and Dagster."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import narwhals as nw
import polars as pl

from retail_platform.contracts.silver import ENTITIES, QUARANTINE
from retail_platform.landing.csv_file import read_csv
from retail_platform.landing.filing import file_rows, index_entries
from retail_platform.landing.ledger import Drop
from retail_platform.source_catalog import load_hook
from retail_platform.source_spec import SourceSpec
from retail_platform.transforms.silver import Refinery, derive_members, quarantine_rows, refine, silver_rows
from retail_platform_tests.unit.frames import ENGINE, collect

Files = Mapping[str, str]
"""What was delivered: `feed/name-2024-06-01.csv` -> text."""

START = date(2003, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Computed:
    """What became of the rows: silver, quarantine, and how many are superseded."""

    silver: pl.DataFrame
    quarantine: pl.DataFrame
    superseded: int

    @property
    def reasons(self) -> list[list[str]]:
        """The reasons of each row set aside, in file order."""
        return self.quarantine.sort("_source_file", "_row_number")["reasons"].to_list()


def filed(spec: SourceSpec, feed: str, files: Files) -> pl.DataFrame:
    """The bronze rows of a feed."""
    declared = spec.feeds[feed]
    empty = read_csv(",".join(declared.all_columns).encode(), expected=declared.all_columns).rows
    named = {"shop/none-2024-01-01.csv": empty} | {
        f"shop/{path}": read_csv(text.encode(), expected=declared.all_columns, delimiter=declared.delimiter).rows
        for path, text in files.items()
        if path.startswith(f"{feed}/")
    }
    return pl.concat(
        [file_rows(rows, declared, _drop(feed, path), start=START) for path, rows in named.items()], how="diagonal"
    )


def compute(spec: SourceSpec, entity: str, files: Files, *, source: str = "shop") -> Computed:
    """Compute an entity from all files."""
    how = _refinery(spec, entity, source)
    rows = filed(spec, how.entity.feed, files)
    judged = refine(
        nw.from_native(rows.lazy()),
        how,
        versions=_versions(spec, how, rows),
        lookups={
            alias: nw.from_native(filed(spec, lookup.feed, files).lazy())
            for alias, lookup in how.entity.lookups.items()
        },
        engine=ENGINE,
    ).collect()
    return Computed(
        silver=how.contract.validate(collect(silver_rows(judged.lazy(), how.contract))).sort(how.contract.key),
        quarantine=collect(quarantine_rows(judged.lazy(), how, QUARANTINE, ENGINE)),
        superseded=int(judged["_superseded"].sum()),
    )


def derive(spec: SourceSpec, entity: str, files: Files) -> pl.DataFrame:
    """The members read off all files."""
    how = _refinery(spec, entity, "shop")
    rows = filed(spec, how.entity.feed, files)
    versions = _versions(spec, how, rows)
    assert versions is not None
    members = collect(derive_members(nw.from_native(rows.lazy()), how, versions=versions, engine=ENGINE))
    return how.contract.validate(members).sort(how.contract.key)


def _refinery(spec: SourceSpec, entity: str, source: str) -> Refinery:
    declared = spec.entities[entity]
    return Refinery(
        source=source,
        spec=spec,
        name=entity,
        contract=ENTITIES[spec.entity_of(entity)],
        hook=load_hook(source, declared.hook) if declared.hook else None,
    )


def _versions(spec: SourceSpec, how: Refinery, rows: pl.DataFrame) -> nw.LazyFrame | None:
    if how.feed.kind == "master":
        return None
    return nw.from_native(index_entries(rows.lazy(), spec.lookup_columns(how.entity.feed), file_id="f1"))


def _drop(feed: str, path: str) -> Drop:
    day = date.fromisoformat(path.removesuffix(".csv")[-10:])
    instant = datetime.combine(day, time(6), UTC)
    return Drop(
        drop_id=path,
        source="shop",
        feed=feed,
        path=path,
        file_id=path,
        fingerprint=path,
        size=1,
        drop_date=day,
        latest_date=day,
        dropped_at=instant,
        seen_at=instant,
    )
