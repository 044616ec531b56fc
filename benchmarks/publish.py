"""How long a publish takes, against what a bare DuckDB script needs to read the same files.

python benchmarks/publish.py                      # 10M facts in 2,557 days
python benchmarks/publish.py --rows 100000 --days 100
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from retail_platform.lake.parquet import LakeTable
from retail_platform.lake.relations import Column, DailyTable, LiveView, ensure_schema_file
from retail_platform.lake.warehouse import PublishReport, Warehouse

FIRST_DAY = date(2018, 1, 1)
COLUMNS = (
    Column(name="source_system", type="VARCHAR", comment="Where the row came from."),
    Column(name="order_id", type="VARCHAR"),
    Column(name="line_number", type="INTEGER"),
    Column(name="order_date", type="DATE"),
    Column(name="customer_key", type="BIGINT"),
    Column(name="product_key", type="BIGINT"),
    Column(name="quantity", type="INTEGER"),
    Column(name="unit_price", type="DECIMAL(18,4)"),
    Column(name="total_amount", type="DECIMAL(18,2)"),
    Column(name="status", type="VARCHAR"),
)
TYPES = {
    "VARCHAR": pl.String,
    "INTEGER": pl.Int32,
    "BIGINT": pl.Int64,
    "DATE": pl.Date,
    "DECIMAL(18,4)": pl.Decimal(18, 4),
    "DECIMAL(18,2)": pl.Decimal(18, 2),
}
SCHEMA = pl.Schema({column.name: TYPES[column.type] for column in COLUMNS})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=2_557)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="publish-"))
    try:
        measure(folder, rows=options.rows, days=options.days)
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, *, rows: int, days: int) -> None:
    """Write a lake of `rows` facts in `days` files, then publish it in all the ways that happen."""
    lake = LakeTable(root=folder / "lake" / "gold" / "fact_sales", partition_column="order_date", schema=SCHEMA)
    write_lake(lake, rows=rows, days=days)
    limit = timed(lambda: bare_script(lake, folder / "bare.duckdb"))
    warehouse = Warehouse(folder / "warehouse")
    table = Table("", "seconds", "of the bare script", title=f"{rows:,} facts in {days:,} days")

    def add(what: str, seconds: float) -> None:
        table.add_row(what, f"{seconds:.3f}", f"{seconds / limit:.2f}")

    add("bare script: CREATE TABLE AS FROM read_parquet", limit)
    add("full build", publish(warehouse, lake).seconds)
    add("nothing changed", publish(warehouse, lake).seconds)
    for changed in (1, 30):
        rewrite(lake, days=min(changed, days))
        add(f"{changed} changed day{'s' * (changed > 1)}", publish(warehouse, lake).seconds)
    before = warehouse.path.stat().st_size
    for _ in range(30):
        rewrite(lake, days=1)
        publish(warehouse, lake)
    table.add_section()
    add("one day, live view (silver)", query(warehouse, "silver", "WHERE order_date = DATE '2018-01-15'"))
    add("all days, live view (silver)", query(warehouse, "silver", ""))
    add("one day, table (gold)", query(warehouse, "gold", "WHERE order_date = DATE '2018-01-15'"))
    add("all days, table (gold)", query(warehouse, "gold", ""))
    console = Console()
    console.print(table)
    after = warehouse.path.stat().st_size
    console.print(f"Database: {before / 1e6:.0f} MB, {after / 1e6:.0f} MB after 30 more publishes of a day.")
    console.print(f"Bare database: {(folder / 'bare.duckdb').stat().st_size / 1e6:.0f} MB.")


def publish(warehouse: Warehouse, lake: LakeTable) -> PublishReport:
    """Publish the facts as a table and as a live view."""
    root, column = lake.root, lake.partition_column
    return warehouse.publish(
        daily=[DailyTable(schema="gold", name="fact_sales", root=root, partition_column=column, columns=COLUMNS)],
        whole=[],
        views=[LiveView(schema="silver", name="fact_sales", root=root, partition_column=column, columns=COLUMNS)],
        sql_views=[],
    )


def bare_script(lake: LakeTable, database: Path) -> None:
    """The least that anyone must do to have these files in DuckDB."""
    with duckdb.connect(database) as con:
        con.execute(
            f"CREATE TABLE fact_sales AS FROM read_parquet('{lake.root}/*/*.parquet', hive_partitioning = false)"
        )


def query(warehouse: Warehouse, schema: str, where: str) -> float:
    """Seconds of a sum, the second time."""
    with warehouse.connect() as con:
        sql = f"SELECT count(*), sum(total_amount) FROM {schema}.fact_sales {where}"
        con.sql(sql).fetchall()
        return timed(lambda: con.sql(sql).fetchall())


def write_lake(lake: LakeTable, *, rows: int, days: int) -> None:
    """Spread the rows evenly over the days."""
    ensure_schema_file(lake.root, lake.partition_column, lake.schema)
    for offset in range(days):
        day = FIRST_DAY + timedelta(days=offset)
        path = lake.folder(day) / "data.parquet"
        path.parent.mkdir(parents=True)
        facts(day, rows=rows // days).write_parquet(path, compression="zstd")


def rewrite(lake: LakeTable, *, days: int) -> None:
    """Change the first days, as a late file would."""
    for day in lake.days()[:days]:
        lake.write_days(lake.scan([day]).with_columns(pl.col("quantity") + 1).collect(), [day])


def facts(day: date, *, rows: int) -> pl.DataFrame:
    """A day's order lines."""
    random = np.random.default_rng(day.toordinal())
    quantity = random.integers(1, 9, rows, dtype=np.int32)
    cents = random.integers(100, 50_000, rows)
    return pl.DataFrame(
        {
            "source_system": pl.repeat("storefront", rows, eager=True),
            "order_id": [f"{day:%Y%m%d}-{number // 3}" for number in range(rows)],
            "line_number": np.arange(rows, dtype=np.int32) % 3 + 1,
            "order_date": pl.repeat(day, rows, eager=True),
            "customer_key": random.integers(0, 2**62, 50_000)[random.integers(0, 50_000, rows)],
            "product_key": random.integers(0, 2**62, 5_000)[random.integers(0, 5_000, rows)],
            "quantity": quantity,
            "unit_price": pl.Series(cents).cast(pl.Decimal(18, 4)) / 100,
            "total_amount": pl.Series(cents * quantity).cast(pl.Decimal(18, 2)) / 100,
            "status": random.choice(["Completed", "Open", "Cancelled"], rows),
        },
    ).cast(SCHEMA)


def timed(work: Callable[[], object]) -> float:
    """Seconds that some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
