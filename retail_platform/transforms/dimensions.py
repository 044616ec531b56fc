"""Dimensions: members as delivered day by day, and the whole dimension with its versions when it is published.

A day's partition holds the members delivered that day and looks at no other day, so any order of backfill is right.
Versions, inferred members and what was withdrawn are worked out over all days at once.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import narwhals as nw

from retail_platform.contracts.contract import Contract
from retail_platform.contracts.gold import (
    DIM_CUSTOMER,
    DIM_CUSTOMER_PUBLISHED,
    DIM_PRODUCT,
    DIM_PRODUCT_PUBLISHED,
    UNKNOWN_KEY,
)
from retail_platform.engines.engine import KEY_SEPARATOR, Engine
from retail_platform.transforms.masking import mask_email, mask_name, mask_phone
from retail_platform.transforms.versions import differs_from_previous

OPEN_PAST = date(1900, 1, 1)
OPEN_END = date(9999, 12, 31)
UNKNOWN = "unknown"

_BOOKKEEPING = frozenset({"occurrences", "drop_date", "created_at", "updated_at", "stated_from"})
_STARTS = "starts"


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """The names of one dimension.

    Attributes:
        entity: The silver entity it is made of.
        members: Contract of a day's members, as the lake holds them.
        published: Contract of the whole dimension, as the warehouse shows it.
    """

    entity: str
    members: Contract
    published: Contract

    @property
    def natural_key(self) -> str:
        """The source's own id."""
        return self.members.key[-1]

    @property
    def key(self) -> str:
        """The durable key."""
        return self.natural_key.removesuffix("_id") + "_key"

    @property
    def version_key(self) -> str:
        """The key of a version."""
        return self.natural_key.removesuffix("_id") + "_version_key"

    @property
    def version_parts(self) -> list[str]:
        """What the key of a version is hashed from; `description` is null unless members are read off transactions."""
        return ["source_system", self.natural_key, "drop_day", "description"]

    @property
    def attributes(self) -> list[str]:
        """What makes one version differ from another."""
        keys = {self.key, self.version_key, *self.members.key}
        return [name for name in self.members.schema if name not in keys | _BOOKKEEPING]


CUSTOMER = Dimension(entity="customers", members=DIM_CUSTOMER, published=DIM_CUSTOMER_PUBLISHED)
PRODUCT = Dimension(entity="products", members=DIM_PRODUCT, published=DIM_PRODUCT_PUBLISHED)
DIMENSIONS = (CUSTOMER, PRODUCT)


def members(silver: nw.LazyFrame, dimension: Dimension, engine: Engine) -> nw.LazyFrame:
    """A day's members from the silver entity of all sources, with durable keys and personal data masked."""
    if dimension is CUSTOMER:
        silver = silver.with_columns(
            *(mask_name(name).alias(name) for name in ("first_name", "last_name", "full_name")),
            mask_email("email").alias("email"),
            mask_phone("phone").alias("phone"),
            nw.col("birth_date").dt.year().alias("birth_year"),
        )
    stated = nw.col("valid_from") if _states_validity(dimension) else nw.lit(None).cast(nw.Date())
    keyed = silver.with_columns(stated.alias("stated_from"))
    # A drop may name several versions of a member, each from a day of its own.
    keyed = keyed.with_columns(nw.coalesce("stated_from", "drop_date").cast(nw.String()).alias("drop_day"))
    # A member read off transactions may have several descriptions a day: each is a row, and so needs a key of its own.
    described = nw.concat_str(
        [nw.col(name).cast(nw.String()).fill_null("") for name in dimension.attributes], separator=KEY_SEPARATOR
    )
    keyed = keyed.with_columns(nw.when(~nw.col("occurrences").is_null()).then(described).alias("description"))
    keyed = engine.hash_keys(
        keyed,
        {
            dimension.key: ["source_system", dimension.natural_key],
            dimension.version_key: dimension.version_parts,
        },
    )
    return dimension.members.cast(keyed)


def publish(
    delivered: nw.LazyFrame,
    used: nw.LazyFrame,
    dimension: Dimension,
    engine: Engine,
    *,
    most_frequent: Collection[str] = (),
    snapshots: Collection[str] = (),
) -> nw.LazyFrame:
    """The whole dimension: versions with the days they hold, and a member for every key that facts name.

    Args:
        delivered: All members of all days (contract `dimension.members`).
        used: The keys that facts name: the durable key, `source_system` and the natural key; may repeat.
        dimension: Which dimension.
        engine: What hashes the keys of versions that withdrawals begin.
        most_frequent: Sources whose derived members are described by what occurs most often (else by the latest).
        snapshots: Sources that deliver all members every time.

    Returns:
        Contract `dimension.published`. A member's first version is open to the past, its last one to the future. A
        version holds from its drop date or, where the source states one, from that day; of a day that is stated again
        the later drop counts. Where a member is both delivered and read off transactions, the delivery counts.
    """
    is_derived = ~nw.col("occurrences").is_null()
    given = delivered.filter(~is_derived)
    read_off = delivered.filter(is_derived).join(given.select(dimension.key), on=dimension.key, how="anti")
    versions = nw.concat(
        [_versions(given, dimension, engine, snapshots), _derived(read_off, dimension, most_frequent)], how="vertical"
    )
    versions = versions.with_columns(nw.lit(value=False).alias("is_inferred"))
    inferred = _inferred(used, versions, dimension)
    return nw.concat([dimension.published.cast(versions), inferred], how="vertical")


def _versions(
    delivered: nw.LazyFrame, dimension: Dimension, engine: Engine, snapshots: Collection[str]
) -> nw.LazyFrame:
    """SCD 2: neighbours that say the same are one version, which holds until the next one begins."""
    states = delivered.with_columns(nw.lit(value=True).alias("is_active"))
    states = nw.concat([states, _withdrawals(delivered, dimension, engine, snapshots)], how="vertical")
    states = states.with_columns(_start(dimension).alias(_STARTS))
    states = states.unique([dimension.key, _STARTS], keep="last", order_by="drop_date")
    in_key = {"order_by": _STARTS}
    changed = [
        differs_from_previous(name).over(dimension.key, **in_key) for name in (*dimension.attributes, "is_active")
    ]
    is_first = nw.col(_STARTS).shift(1).over(dimension.key, **in_key).is_null()
    states = states.with_columns(
        is_first.alias("is_first"), nw.any_horizontal(is_first, *changed, ignore_nulls=True).alias("is_start")
    )
    starts = states.filter(nw.col("is_start"))
    following = nw.col(_STARTS).shift(-1).over(dimension.key, **in_key)
    return (
        starts.with_columns(following.alias("next_start"))
        .with_columns(
            nw.when(nw.col("is_first")).then(nw.lit(OPEN_PAST)).otherwise(nw.col(_STARTS)).alias("valid_from"),
            nw.col("next_start").dt.offset_by("-1d").fill_null(OPEN_END).alias("valid_to"),
            nw.col("next_start").is_null().alias("is_current"),
        )
        .select(*_columns(dimension))
    )


def _states_validity(dimension: Dimension) -> bool:
    return "stated_from" in dimension.members.schema


def _start(dimension: Dimension) -> nw.Expr:
    """The first day of a version: as the source states it, else the day on which it was delivered."""
    return nw.coalesce("stated_from", "drop_date") if _states_validity(dimension) else nw.col("drop_date")


def _withdrawals(
    delivered: nw.LazyFrame, dimension: Dimension, engine: Engine, snapshots: Collection[str]
) -> nw.LazyFrame:
    """Where a snapshot source did not deliver a member again: the member as it was, inactive from that drop on."""
    complete = delivered.filter(nw.col("source_system").is_in(list(snapshots)))
    # Of several versions in one drop, the last is what the member was.
    complete = complete.with_columns(_start(dimension).alias(_STARTS))
    complete = complete.unique([dimension.key, "drop_date"], keep="last", order_by=_STARTS)
    drops = complete.select("source_system", "drop_date").unique()
    following = nw.col("drop_date").shift(-1).over("source_system", order_by="drop_date").alias("next_drop")
    again = complete.select(dimension.key, nw.col("drop_date").alias("next_drop"))
    withdrawn = (
        complete.join(drops.with_columns(following), on=["source_system", "drop_date"], how="left")
        .filter(~nw.col("next_drop").is_null())
        .join(again, on=[dimension.key, "next_drop"], how="anti")
        .with_columns(
            nw.col("next_drop").alias("drop_date"),
            nw.col("next_drop").cast(nw.String()).alias("drop_day"),
            nw.lit(None).cast(nw.String()).alias("description"),
            nw.lit(value=False).alias("is_active"),
        )
    )
    if _states_validity(dimension):
        withdrawn = withdrawn.with_columns(nw.lit(None).cast(nw.Date()).alias("stated_from"))
    # A version of its own, so with a key of its own.
    withdrawn = engine.hash_keys(withdrawn, {dimension.version_key: dimension.version_parts})
    return withdrawn.select(*delivered.collect_schema().names(), "is_active")


def _derived(delivered: nw.LazyFrame, dimension: Dimension, most_frequent: Collection[str]) -> nw.LazyFrame:
    """SCD 1: of the descriptions that transactions gave a member, one holds for all time."""
    described = [dimension.key, *dimension.members.key, *dimension.attributes]
    descriptions = delivered.group_by(described).agg(
        nw.col("occurrences").sum(),
        nw.col("drop_date").max().alias("last_day"),
        nw.col("drop_date").min(),
        nw.col("created_at").min(),
        nw.col("updated_at").max(),
        nw.col(dimension.version_key).min(),
    )
    by_count = nw.col("source_system").is_in(list(most_frequent))
    name = dimension.attributes[0]
    descriptions = descriptions.with_columns(
        # A description that says something beats one that does not.
        (~nw.col(name).is_null()).cast(nw.Int64()).alias("says_something"),
        nw.when(by_count).then(nw.col("occurrences")).otherwise(nw.lit(0)).alias("weight"),
    )
    order = ["says_something", "weight", "last_day", dimension.version_key]
    chosen = descriptions.unique([dimension.key], keep="last", order_by=order)
    if _states_validity(dimension):
        chosen = chosen.with_columns(nw.lit(None).cast(nw.Date()).alias("stated_from"))
    return chosen.with_columns(
        nw.lit(OPEN_PAST).alias("valid_from"),
        nw.lit(OPEN_END).alias("valid_to"),
        nw.lit(value=True).alias("is_current"),
        nw.lit(value=True).alias("is_active"),
    ).select(*_columns(dimension))


def _inferred(used: nw.LazyFrame, versions: nw.LazyFrame, dimension: Dimension) -> nw.LazyFrame:
    """Members that facts name and no drop delivered, and the unknown member where facts name none."""
    missing = used.unique([dimension.key]).join(versions.select(dimension.key), on=dimension.key, how="anti")
    is_unknown = nw.col(dimension.key) == UNKNOWN_KEY
    return dimension.published.cast(
        missing.with_columns(
            nw.col(dimension.key).alias(dimension.version_key),
            nw.when(is_unknown).then(nw.lit(UNKNOWN)).otherwise(nw.col("source_system")).alias("source_system"),
            nw.lit(OPEN_PAST).alias("valid_from"),
            nw.lit(OPEN_END).alias("valid_to"),
            nw.lit(value=True).alias("is_current"),
            nw.lit(value=True).alias("is_active"),
            nw.lit(value=True).alias("is_inferred"),
        )
    )


def _columns(dimension: Dimension) -> list[str]:
    added = {"is_inferred"}
    return [name for name in dimension.published.schema if name not in added]
