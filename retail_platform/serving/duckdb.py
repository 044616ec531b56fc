"""What the DuckDB warehouse shows, and how it is brought up to date with the lake."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import duckdb
import narwhals as nw
import polars as pl

from retail_platform.contracts.bronze import DESCRIPTIONS
from retail_platform.contracts.contract import Contract
from retail_platform.contracts.gold import DIM_DATE, FACT_ORDERS, FACT_PAYMENTS, FACT_SALES
from retail_platform.contracts.marts import DAILY_MARTS, SNAPSHOT_MARTS
from retail_platform.contracts.snapshot_names import NEWEST_ONLY
from retail_platform.lake.parquet import LakeTable, each_day
from retail_platform.lake.relations import Column, DailyTable, LiveView, SqlView, WholeTable, ensure_schema_file
from retail_platform.lake.warehouse import PublishReport
from retail_platform.landing.ledger_tables import BOOKS, DIRTY_DAYS, DROPS
from retail_platform.platform import QUARANTINE_SUFFIX, Platform
from retail_platform.transforms.calendar import DELIVERED, describe_days, with_calendars
from retail_platform.transforms.dimensions import DIMENSIONS, Dimension
from retail_platform.transforms.dimensions import publish as publish_dimension

_TYPES: Mapping[type[pl.DataType], str] = {
    pl.String: "VARCHAR",
    pl.Int32: "INTEGER",
    pl.Int64: "BIGINT",
    pl.Float64: "DOUBLE",
    pl.Boolean: "BOOLEAN",
    pl.Date: "DATE",
    pl.Datetime: "TIMESTAMPTZ",
}

_CALENDAR = ("source_system", "date", "drop_date", *DELIVERED)

SALES_VIEW = """
SELECT s.*, c.full_name AS customer_name, c.country AS customer_country, c.region AS customer_region,
  coalesce(s.region, c.region) AS sales_region, p.product_name, p.category, p.subcategory, p.product_line,
  p.product_family, p.unit_cost,
  CAST(
    s.total_amount - CASE WHEN s.total_amount < 0 THEN -abs(s.quantity) ELSE s.quantity END * p.unit_cost
    AS DECIMAL(18,2)
  ) AS margin
FROM gold.fact_sales s
LEFT JOIN gold.dim_customer c
  ON c.customer_key = s.customer_key AND s.order_date BETWEEN c.valid_from AND c.valid_to
LEFT JOIN gold.dim_product p
  ON p.product_key = s.product_key AND s.order_date BETWEEN p.valid_from AND p.valid_to
"""

ORDER_PAYMENTS_VIEW = """
WITH orders AS (
  SELECT order_key, source_system, order_id, min(order_date) AS order_date, any_value(currency) AS currency,
    any_value(customer_key) AS customer_key, arg_max(status, order_date) AS status,
    sum(total_amount) AS total_amount, sum(freight_amount) AS freight_amount
  FROM gold.fact_orders GROUP BY ALL
), paid AS (
  SELECT order_key, count(*) AS payments, sum(amount) AS paid_amount, sum(installments) AS installments,
    max(payment_date) AS last_payment_date
  FROM gold.fact_payments GROUP BY ALL
)
SELECT o.* REPLACE (
    CAST(o.total_amount AS DECIMAL(18,2)) AS total_amount, CAST(o.freight_amount AS DECIMAL(18,2)) AS freight_amount
  ),
  CAST(coalesce(p.payments, 0) AS BIGINT) AS payments,
  CAST(coalesce(p.paid_amount, 0) AS DECIMAL(18,2)) AS paid_amount,
  CAST(p.installments AS BIGINT) AS installments, p.last_payment_date,
  CAST(coalesce(p.paid_amount, 0) - o.total_amount - o.freight_amount AS DECIMAL(18,2)) AS difference
FROM orders o LEFT JOIN paid p USING (order_key)
"""


def publish(platform: Platform) -> PublishReport:
    """Bring the warehouse up to date with lake and ledger; nothing is copied where nothing changed."""
    return _show_all(platform, platform.warehouse.publish)


def rebuild(platform: Platform) -> PublishReport:
    """Make the warehouse again from the lake alone."""
    return _show_all(platform, platform.warehouse.rebuild)


def _show_all(platform: Platform, bring_about: Callable[..., PublishReport]) -> PublishReport:
    return bring_about(
        daily=daily_tables(platform),
        whole=lambda con: whole_tables(platform, con),
        views=live_views(platform),
        sql_views=sql_views(),
    )


def publish_ops(platform: Platform) -> PublishReport:
    """Bring schema `ops` alone up to date: what a run says of itself once its tables are there."""
    return platform.warehouse.publish_some(daily=[_check_results(platform)], whole=_ledger_tables(platform))


def daily_tables(platform: Platform) -> list[DailyTable]:
    """Facts, marts, and the history of checks: native tables, kept day by day."""
    contracts = (FACT_SALES, FACT_ORDERS, FACT_PAYMENTS, *DAILY_MARTS.values())
    return [*(_daily(platform, contract) for contract in contracts), _check_results(platform)]


def _check_results(platform: Platform) -> DailyTable:
    history = platform.check_results
    return DailyTable(
        schema="ops",
        name="check_results",
        root=history.root,
        partition_column=history.partition_column,
        columns=columns_of(history.schema),
        comment="Every check of every day of every run.",
    )


def whole_tables(platform: Platform, con: duckdb.DuckDBPyConnection) -> list[WholeTable]:
    """Dimensions, which are worked out over all days, the newest snapshots, and what the ledger knows."""
    tables = [dim_date(platform, con), *(newest_snapshot(platform, contract) for contract in SNAPSHOT_MARTS.values())]
    for dimension in DIMENSIONS:
        tables += dimension_tables(platform, dimension, con)
    return [*tables, *_ledger_tables(platform)]


def _ledger_tables(platform: Platform) -> list[WholeTable]:
    tables = []
    for name, table in {"drops": DROPS, "dirty_days": DIRTY_DAYS, "books": BOOKS}.items():
        rows = platform.ledger.read_table(table)
        tables.append(
            WholeTable(schema="ops", name=name, rows=rows, columns=columns_of(rows.schema), comment=table.comment or "")
        )
    return tables


def dimension_tables(
    platform: Platform, dimension: Dimension, con: duckdb.DuckDBPyConnection
) -> tuple[WholeTable, WholeTable]:
    """`dim_x`, all versions, and `dim_x_current`, one row a member."""
    contract = dimension.published
    used = con.sql(
        f'SELECT DISTINCT {dimension.key}, source_system, {dimension.natural_key} FROM "gold"."fact_sales"'  # noqa: S608
    ).pl()
    rows = published_dimension(platform, dimension, used)
    current = rows.filter(pl.col("is_current"))
    described = columns_of(contract.schema, contract.descriptions)
    return (
        WholeTable(schema="gold", name=contract.name, rows=rows, columns=described, comment=contract.description),
        WholeTable(
            schema="gold",
            name=f"{contract.name}_current",
            rows=current,
            columns=described,
            comment=f"The current version of each member of {contract.name}: one row per {dimension.key}.",
        ),
    )


def published_dimension(platform: Platform, dimension: Dimension, used: pl.DataFrame) -> pl.DataFrame:
    """The whole dimension, from the members of all days and the keys that facts use."""
    # In one piece: joins and sorts take twice as long on rows in as many pieces as there are days.
    members = platform.table(["gold", dimension.members.name]).scan().collect().rechunk().lazy()
    tables = [
        (source, spec, spec.entities[table])
        for source, spec in platform.sources.items()
        for table in spec.tables_of(dimension.entity)
    ]
    published = publish_dimension(
        nw.from_native(members),
        nw.from_native(used.lazy()),
        dimension,
        platform.engine,
        most_frequent=[source for source, _, entity in tables if entity.derived == "most_frequent"],
        snapshots=[
            source
            for source, spec, entity in tables
            if not entity.derived and spec.feeds[entity.feed].delivery == "snapshot"
        ],
    )
    rows = published.collect().to_native().sort("source_system", dimension.natural_key, "valid_from", nulls_last=True)
    return dimension.published.validate(rows)


def newest_snapshot(platform: Platform, contract: Contract) -> WholeTable:
    """A snapshot mart as of the newest day that it was taken for."""
    table = platform.table([contract.layer, contract.name])
    days = table.days()
    return WholeTable(
        schema=contract.layer,
        name=contract.name,
        rows=table.day_file(days[-1]) if days else contract.schema.to_frame(),
        columns=columns_of(contract.schema, contract.descriptions),
        comment=f"{contract.description} The newest snapshot.",
    )


def dim_date(platform: Platform, con: duckdb.DuckDBPyConnection) -> WholeTable:
    """Every day from the first fact to the end of next year, without gaps."""
    ((first,),) = con.sql('SELECT min(order_date) FROM "gold"."fact_sales"').fetchall()
    today = date.today()  # noqa: DTZ011 - the end of next year is the same everywhere but for hours
    return WholeTable(
        schema="gold",
        name=DIM_DATE.name,
        rows=calendar_days(platform, first or date(today.year, 1, 1), date(today.year + 1, 12, 31)),
        columns=columns_of(DIM_DATE.schema, DIM_DATE.descriptions),
        comment=DIM_DATE.description,
    )


def calendar_days(platform: Platform, first: date, last: date) -> pl.DataFrame:
    """`dim_date` for every day from `first` to `last`."""
    return describe(platform, list(each_day(first, last))).collect().to_native()


def describe(platform: Platform, days: Sequence[date]) -> nw.LazyFrame:
    """`dim_date` for these days, by the calendars that sources deliver, else as computed."""
    named = nw.from_native(pl.LazyFrame({"date": days}, schema={"date": pl.Date}))
    described = describe_days(named)
    # By another day than the one described: a calendar is delivered once, for years.
    calendars = [nw.from_native(table.scan().select(*_CALENDAR)) for table in platform.silver_tables("calendar")]
    if calendars:
        described = with_calendars(described, nw.concat(calendars, how="vertical"))
    return DIM_DATE.cast(described)


def live_views(platform: Platform) -> list[LiveView]:
    """Bronze, silver and the history of snapshots, never older than the lake; each folder gets its schema file."""
    views = []
    for source, spec in platform.sources.items():
        for feed in spec.feeds:
            table = platform.table(["bronze", source, feed])
            views.append(_live(table, "bronze", f"{source}_{feed}", DESCRIPTIONS, f"Feed {feed} of {source}, as text."))
        for entity, declared in spec.entities.items():
            for name in [entity] if declared.derived else [entity, entity + QUARANTINE_SUFFIX]:
                key = ["silver", source, name]
                contract = platform.contract(key)
                if contract is not None:
                    view = f"{source}_{name}"
                    views.append(
                        _live(platform.table(key), "silver", view, contract.descriptions, contract.description)
                    )
    return [*views, *_histories(platform)]


def _histories(platform: Platform) -> list[LiveView]:
    """`marts.x_history`: all snapshots of a mart, by `snapshot_date`."""
    return [
        _live(
            platform.table([contract.layer, name]),
            contract.layer,
            f"{name}_history",
            contract.descriptions,
            f"{contract.description} All snapshots that were taken.",
        )
        for name, contract in SNAPSHOT_MARTS.items()
        if name not in NEWEST_ONLY
    ]


def sql_views() -> Sequence[SqlView]:
    """Views over the tables of the warehouse."""
    return [
        SqlView(
            schema="gold",
            name="sales",
            sql=SALES_VIEW,
            comment="fact_sales with the customer and product versions of its day.",
        ),
        SqlView(
            schema="gold",
            name="order_payments",
            sql=ORDER_PAYMENTS_VIEW,
            comment="Orders with what was paid, and its difference to total + freight: negative is still owed.",
        ),
    ]


def columns_of(schema: Mapping[str, pl.DataType], descriptions: Mapping[str, str] | None = None) -> tuple[Column, ...]:
    """A Polars schema in DuckDB's words."""
    return tuple(
        Column(name=name, type=duckdb_type(dtype), comment=(descriptions or {}).get(name, ""))
        for name, dtype in schema.items()
    )


def duckdb_type(dtype: pl.DataType) -> str:
    """The DuckDB type that holds a Polars type's values."""
    if isinstance(dtype, pl.Decimal):
        return f"DECIMAL({dtype.precision},{dtype.scale})"
    if isinstance(dtype, pl.List):
        return f"{duckdb_type(dtype.inner)}[]"  # pyrefly: ignore[bad-argument-type]
    return _TYPES[dtype.base_type()]


def _daily(platform: Platform, contract: Contract) -> DailyTable:
    table = platform.table([contract.layer, contract.name])
    return DailyTable(
        schema=contract.layer,
        name=contract.name,
        root=table.root,
        partition_column=contract.partition_column,
        columns=columns_of(contract.schema, contract.descriptions),
        comment=contract.description,
    )


def _live(table: LakeTable, schema: str, name: str, descriptions: Mapping[str, str], comment: str) -> LiveView:
    ensure_schema_file(table.root, table.partition_column, table.schema)
    return LiveView(
        schema=schema,
        name=name,
        root=table.root,
        partition_column=table.partition_column,
        columns=columns_of(table.schema, descriptions),
        comment=comment,
    )
