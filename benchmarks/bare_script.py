"""The physical limit: what somebody would write by hand with Polars and DuckDB for one source, and nothing else.

    python -m benchmarks.bare_script ../shared/data/online_retail /tmp/out

Reads the daily files of online_retail, types the columns, writes one Parquet file a day for raw rows, typed rows and
daily sales, and a DuckDB database. No quarantine, no checks, no history, no late or corrected files, no UI.
"""

import sys
from pathlib import Path

import duckdb
import polars as pl


def main() -> None:
    """Read, type, write."""
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    raw = pl.scan_csv(source / "*.csv", infer_schema=False).collect()
    day = pl.col("InvoiceDate").str.slice(0, 10).str.to_date().alias("order_date")
    raw = raw.with_columns(day)
    typed = raw.select(
        pl.col("InvoiceNo").alias("order_id"),
        pl.int_range(1, pl.len() + 1).over("InvoiceNo").alias("line_number"),
        "order_date",
        pl.col("InvoiceDate").str.to_datetime("%Y-%m-%d %H:%M:%S").alias("ordered_at"),
        pl.col("CustomerID").str.replace(r"\.0$", "").alias("customer_id"),
        pl.col("StockCode").str.to_uppercase().alias("product_id"),
        pl.col("Quantity").cast(pl.Int64).alias("quantity"),
        pl.col("UnitPrice").cast(pl.Decimal(18, 4)).alias("unit_price"),
        (pl.col("Quantity").cast(pl.Int64) * pl.col("UnitPrice").cast(pl.Decimal(18, 4)))
        .cast(pl.Decimal(18, 2))
        .alias("total_amount"),
        pl.col("Country").alias("region"),
    )
    sales = typed.group_by("order_date", "region").agg(pl.col("total_amount").sum(), pl.col("order_id").n_unique())
    for name, frame in {"raw": raw, "orders": typed, "daily_sales": sales}.items():
        for (key,), rows in frame.partition_by("order_date", as_dict=True).items():
            folder = out / name / f"order_date={key}"
            folder.mkdir(parents=True, exist_ok=True)
            rows.write_parquet(folder / "data.parquet")
    with duckdb.connect(out / "retail.duckdb") as con:
        for name in ("orders", "daily_sales"):
            con.sql(f"CREATE TABLE {name} AS FROM read_parquet('{out}/{name}/*/*.parquet')")


if __name__ == "__main__":
    main()
