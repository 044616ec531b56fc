"""Which columns a table's columns are computed from, as the catalog shows it.

Gold and marts say it in their contracts, silver in the sources' declarations; nothing is said twice.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

from retail_platform.contracts.bronze import DROP_ID, DROPPED_AT, KEY, ROW_NUMBER, SOURCE_FILE
from retail_platform.contracts.contract import Contract
from retail_platform.contracts.gold import GOLD
from retail_platform.contracts.marts import MARTS
from retail_platform.contracts.rules import PARTITION_DATE
from retail_platform.contracts.silver import ENTITIES, QUARANTINE
from retail_platform.source_spec import HEADER, LINE_NUMBER, EntitySpec, SourceSpec

LINEAGE = "dagster/column_lineage"

Origins = Mapping[str, Iterable[tuple[dg.AssetKey, str]]]
"""Column -> the assets and columns it is computed from."""

_TECHNICAL = {
    "source_system": SOURCE_FILE,
    "created_at": DROPPED_AT,
    "updated_at": DROPPED_AT,
    "quarantined_at": DROPPED_AT,
    "is_active": DROP_ID,
    "drop_date": PARTITION_DATE,
    "partition_date": PARTITION_DATE,
    "occurrences": KEY,
    "feed": SOURCE_FILE,
    DROP_ID: DROP_ID,
    SOURCE_FILE: SOURCE_FILE,
    ROW_NUMBER: ROW_NUMBER,
}
_COMPUTED = {"total_amount": ("quantity", "unit_price", "discount_amount")}
"""Silver columns that we compute where a source does not give them."""


def table_lineage(contract: Contract, sources: Mapping[str, SourceSpec]) -> dict[str, Any]:
    """The catalog's metadata for a table of gold or the marts."""
    return _metadata(
        {
            name: [(key, origin) for table, origin in of for key in _assets(table, sources)]
            for name, of in contract.lineage.items()
        }
    )


def silver_lineage(source: str, spec: SourceSpec, table: str) -> dict[str, Any]:
    """The catalog's metadata for a silver table; columns that a source does not fill, or says itself, have none."""
    entity = spec.entities[table]
    driving = dg.AssetKey(["bronze", source, entity.feed])
    origins = {name: list(_given(source, spec, entity, name)) for name in entity.columns}
    for name in ENTITIES[spec.entity_of(table)].schema:
        if name in origins:
            continue
        computed = [origin for part in _COMPUTED.get(name, ()) for origin in origins.get(part, [])]
        origins[name] = computed or ([(driving, _TECHNICAL[name])] if name in _TECHNICAL else [])
    return _metadata(origins)


def quarantine_lineage(source: str, spec: SourceSpec, table: str) -> dict[str, Any]:
    """The catalog's metadata for a quarantine: what is wrong with a row may be in any of its columns."""
    entity = spec.entities[table]
    driving = dg.AssetKey(["bronze", source, entity.feed])
    whole = [(driving, name) for name in spec.feeds[entity.feed].all_columns]
    return _metadata(
        {name: [(driving, _TECHNICAL[name])] if name in _TECHNICAL else whole for name in QUARANTINE.schema}
    )


def _assets(table: str, sources: Mapping[str, SourceSpec]) -> list[dg.AssetKey]:
    for layer, tables in {"gold": GOLD, "marts": MARTS}.items():
        if table in tables:
            return [dg.AssetKey([layer, table])]
    return [dg.AssetKey(["silver", name, one]) for name, spec in sources.items() for one in spec.tables_of(table)]


def _given(source: str, spec: SourceSpec, entity: EntitySpec, name: str) -> Iterator[tuple[dg.AssetKey, str]]:
    """What a declared column is made from; what a function adds is made from all that it sees."""
    added = entity.hook.adds if entity.hook else ()
    for origin in dict.fromkeys(entity.columns[name].origins()):
        if origin in added:
            for column in spec.feeds[entity.feed].all_columns:
                yield dg.AssetKey(["bronze", source, entity.feed]), column
        else:
            feed, column = _feed_column(entity, origin)
            yield dg.AssetKey(["bronze", source, feed]), column


def _feed_column(entity: EntitySpec, origin: str) -> tuple[str, str]:
    alias, _, column = origin.rpartition(".")
    if origin == LINE_NUMBER or alias not in {HEADER, *entity.lookups}:
        return entity.feed, origin
    if alias == HEADER and entity.header is not None:
        return entity.header.feed, column
    return entity.lookups[alias].feed, column


def _metadata(origins: Origins) -> dict[str, Any]:
    deps = {
        name: [dg.TableColumnDep(asset_key=key, column_name=column) for key, column in dict.fromkeys(of)]
        for name, of in origins.items()
    }
    lineage = dg.TableColumnLineage(deps_by_column={name: of for name, of in deps.items() if of})
    return {LINEAGE: lineage} if lineage.deps_by_column else {}
