"""The checks of a lane: what is counted for each day of bronze and silver, and the books that are kept of it."""

from datetime import date

import dagster as dg
import polars as pl

from retail_platform.components.checks import WARN, DayCheck, rule_check
from retail_platform.contracts.contract import Contract
from retail_platform.contracts.rules import PARTITION_DATE
from retail_platform.instance.day_checks import DayResult
from retail_platform.lake.parquet import LakeTable
from retail_platform.landing.gathering import row_counts
from retail_platform.landing.ledger import Book, Drop
from retail_platform.landing.refining import CONTRACT, QUARANTINE_RATE, RefinedDays, refinery
from retail_platform.platform import QUARANTINE_SUFFIX, Platform
from retail_platform.transforms.quality import QUARANTINED_ROWS, ROWS, SUPERSEDED_ROWS

ROWS_MATCH = DayCheck(
    name="rows_match_files", says="Bronze holds as many rows of the day as the files that were delivered for it."
)
FILES_READABLE = DayCheck(
    name="files_readable", says="Every file could be read; those that could not are named, with what to do."
)
SCHEMA_UNCHANGED = DayCheck(
    name="schema_unchanged",
    says="The files have the declared columns, no new ones, and none renamed.",
    severity=WARN,
)
BOOKS_BALANCE = DayCheck(
    name="books_balance", says="Rows of the day in bronze = rows in silver + rows in quarantine + superseded rows."
)
ONE_DAY_PER_KEY = DayCheck(name="one_day_per_key", says="No key of the day stands on another day, too.")
UNIQUE_KEY = DayCheck(name="unique_key", says="No two rows of the day have the same key.")
CONTRACT_KEPT = DayCheck(
    name=CONTRACT, says="What would be written keeps the table's contract, else it is not written."
)
RATE_BOUNDED = DayCheck(
    name=QUARANTINE_RATE, says="Not more of a day's rows are in quarantine than the limit, else the day is not written."
)

NOTHING_SET_ASIDE = DayCheck(
    name="nothing_set_aside",
    says="No row of the day is in quarantine. Those that are have their reasons, and leave it when a better one comes.",
    severity=WARN,
)
ALL_DESCRIBED = DayCheck(
    name="all_described", says="Every member that the day's orders name is described by the day's rows.", severity=WARN
)

BRONZE_CHECKS = (ROWS_MATCH, FILES_READABLE, SCHEMA_UNCHANGED)
SILVER_CHECKS = (RATE_BOUNDED, CONTRACT_KEPT, BOOKS_BALANCE, UNIQUE_KEY)
"""Of every entity; those of transactional feeds have `ONE_DAY_PER_KEY`, too, and each has one per rule."""

_EXAMPLES = 5


def bronze_results(platform: Platform, key: dg.AssetKey, days: list[date]) -> list[DayResult]:
    """The results of `BRONZE_CHECKS` on each day, counted in the files as they were written."""
    _, source, feed = key.path
    ledger = platform.ledger
    held = platform.table(key.path).row_counts(days)
    delivered = ledger.rows_by_day(source, feed, first=days[0], last=days[-1])
    drops = ledger.drops(source=source, feed=feed, statuses=("pending", "loaded", "rejected"), days=(days[0], days[-1]))
    by_day: dict[date, list[Drop]] = {}
    drop_days = ledger.days_of([drop.drop_id for drop in drops])
    for drop in drops:
        for day in drop_days[drop.drop_id]:
            by_day.setdefault(day, []).append(drop)
    rejected = {day: [drop for drop in some if drop.status == "rejected"] for day, some in by_day.items()}
    changed = {day: [drop for drop in some if _schema_changes(drop)] for day, some in by_day.items()}
    files = {day: len(some) for day, some in by_day.items()}
    return [
        *ROWS_MATCH.results(
            key, days, failed={day: abs(held[day] - delivered.get(day, 0)) for day in days}, total=held
        ),
        *FILES_READABLE.results(
            key,
            days,
            failed={day: len(some) for day, some in rejected.items()},
            total=files,
            details={day: "\n".join(f"{drop.path}: {drop.message}" for drop in some) for day, some in rejected.items()},
        ),
        *SCHEMA_UNCHANGED.results(
            key,
            days,
            failed={day: len(some) for day, some in changed.items()},
            total=files,
            details={
                day: "\n".join(f"{drop.path}: {_schema_changes(drop)}" for drop in some)
                for day, some in changed.items()
            },
        ),
    ]


def _schema_changes(drop: Drop) -> str:
    changes = {"new": drop.new_columns, "renamed": drop.renamed_columns, "missing": drop.missing_columns}
    return "; ".join(f"{what}: {names}" for what, names in changes.items() if names)


def silver_results(
    platform: Platform, key: dg.AssetKey, books: list[Book], refined: RefinedDays, *, is_dated: bool
) -> list[DayResult]:
    """The results of an entity's checks on each day; `books` are those of the run's days."""
    _, source, entity = key.path
    how = refinery(platform.lanes[source], entity)
    days = [book.day for book in books]
    total = {day: refined.counts[day][ROWS] for day in days}
    results = BOOKS_BALANCE.results(
        key,
        days,
        failed={
            book.day: abs(book.bronze_rows - book.silver_rows - book.quarantined_rows - book.superseded_rows)
            for book in books
        },
        total=total,
    )
    for check in (RATE_BOUNDED, CONTRACT_KEPT):
        blocked = {day: why for day, (name, why) in refined.blocked.items() if name == check.name}
        failed = {day: max(refined.counts[day][QUARANTINED_ROWS], 1) for day in blocked}
        results += check.results(key, days, failed=failed, total=total, details=blocked)
    results += UNIQUE_KEY.results(key, days, failed=_repeated_keys(refined.silver, how.contract), total=total)
    if is_dated:
        results += ONE_DAY_PER_KEY.results(
            key, days, failed=_keys_elsewhere(platform.table(key.path), how.contract, days), total=total
        )
    examples = _examples(refined)
    for rule in how.rules:
        failed = {day: refined.counts[day][rule.name] for day in days}
        details = {day: text for (day, name), text in examples.items() if name == rule.name}
        results += rule_check(rule).results(key, days, failed=failed, total=total, details=details)
    return results


def quarantine_results(key: dg.AssetKey, books: list[Book], refined: RefinedDays) -> list[DayResult]:
    """The results of `NOTHING_SET_ASIDE` on each day, with how often each reason was given."""
    given = refined.quarantine.select(PARTITION_DATE, "reasons").explode("reasons")
    counted = given.group_by(PARTITION_DATE, "reasons").len().sort(PARTITION_DATE, "reasons")
    reasons: dict[date, list[str]] = {}
    for day, reason, rows in counted.iter_rows():
        reasons.setdefault(day, []).append(f"{reason}: {rows}")
    return NOTHING_SET_ASIDE.results(
        key,
        [book.day for book in books],
        failed={book.day: book.quarantined_rows for book in books},
        total={book.day: book.bronze_rows for book in books},
        details={day: "\n".join(some) for day, some in reasons.items()},
    )


def described_results(
    key: dg.AssetKey, days: list[date], members: pl.DataFrame, orders: pl.LazyFrame, contract: Contract
) -> list[DayResult]:
    """The results of `ALL_DESCRIBED`: where orders and members are mapped differently, their ids do not meet."""
    (name,) = contract.key
    described = members.lazy().select(name, pl.col(contract.partition_column).alias("order_date"))
    named = orders.select(name, "order_date").drop_nulls().unique()
    missing = named.join(described, on=[name, "order_date"], how="anti")
    counts = {
        what: dict(ids.group_by("order_date").len().collect().iter_rows())
        for what, ids in {"failed": missing, "total": named}.items()
    }
    return ALL_DESCRIBED.results(key, days, failed=counts["failed"], total=counts["total"])


def keep_books(platform: Platform, key: dg.AssetKey, days: list[date], refined: RefinedDays) -> list[Book]:
    """Write into the ledger what became of each day's rows, counted in the files as they were written."""
    _, source, entity = key.path
    feed = platform.sources[source].entities[entity].feed
    bronze = row_counts(platform.lanes[source], feed, days)
    quarantined = platform.table(["silver", source, entity + QUARANTINE_SUFFIX]).row_counts(days)
    silver = platform.table(key.path).row_counts(days)
    # A blocked day's file holds what it held before; what counts is what became of the new rows.
    partition = refined.silver[platform.table(key.path).partition_column]
    judged = dict(partition.value_counts().iter_rows())
    books = [
        Book(
            source=source,
            entity=entity,
            day=day,
            bronze_rows=bronze[day],
            silver_rows=judged.get(day, 0) if day in refined.blocked else silver[day],
            quarantined_rows=quarantined[day],
            superseded_rows=refined.counts[day][SUPERSEDED_ROWS],
            blocked_because=refined.blocked[day][1] if day in refined.blocked else "",
        )
        for day in days
    ]
    platform.ledger.write_books(books)
    return books


def _repeated_keys(silver: pl.DataFrame, contract: Contract) -> dict[date, int]:
    """How many rows of each day share their key with another: two spellings of one key, that mapping has made equal."""
    names = [contract.partition_column, *contract.key, *contract.versions]
    repeated = silver.filter(pl.struct(names).is_duplicated())
    return dict(repeated[contract.partition_column].value_counts().iter_rows())


def _keys_elsewhere(table: LakeTable, contract: Contract, days: list[date]) -> dict[date, int]:
    """How many keys of each day silver holds on another day, too: found in silver itself, not in the key index."""
    names, day = list(contract.key), contract.partition_column
    mine = table.scan(days).select(*names, day)
    twice = (
        table.scan()
        .select(*names, day)
        .join(mine.select(names).unique(), on=names, how="semi")
        .unique()
        .group_by(names)
        .len()
        .filter(pl.col("len") > 1)
    )
    counts = mine.join(twice, on=names, how="semi").group_by(day).agg(pl.struct(names).n_unique()).collect()
    return dict(counts.iter_rows())


def _examples(refined: RefinedDays) -> dict[tuple[date, str], str]:
    """By day and reason, where the first few rows in quarantine stand: file and row, no values."""
    if refined.quarantine.is_empty():
        return {}
    places = (
        refined.quarantine.explode("reasons")
        .group_by(PARTITION_DATE, "reasons")
        .agg(pl.format("{} row {}", "_source_file", "_row_number").head(_EXAMPLES).str.join("; "))
    )
    return {(day, reason): text for day, reason, text in places.iter_rows()}
