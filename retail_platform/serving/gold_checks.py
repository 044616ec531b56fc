"""Checks on published gold: what needs other days, or facts and dimensions together. Counts only, by day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import duckdb

Counts = Mapping[date, int]


@dataclass(frozen=True, kw_only=True)
class GoldCheck:
    """A check on published gold.

    Attributes:
        name: The check's name.
        says: What holds when it passes.
        is_error: Whether failing is an error (else a warning).
        sql: Gives (day, failing rows) for the facts of a range of days, `$first` to `$last`.
    """

    name: str
    says: str
    is_error: bool
    sql: str


def _unknown_key(member: str) -> GoldCheck:
    return GoldCheck(
        name=f"{member}_key_found",
        says=f"Every {member}_key of the day's facts is in dim_{member}_current.",
        is_error=True,
        sql=f"""
            SELECT order_date, count(*) FROM gold.fact_sales s
            ANTI JOIN gold.dim_{member}_current d ON d.{member}_key = s.{member}_key
            WHERE order_date BETWEEN $first AND $last GROUP BY 1
        """,  # noqa: S608 - two fixed names
    )


def _inferred(member: str) -> GoldCheck:
    return GoldCheck(
        name=f"{member}_delivered",
        says=f"Every {member} that the day's facts name was delivered by its source; others are inferred members.",
        is_error=False,
        sql=f"""
            SELECT order_date, count(*) FROM gold.fact_sales s
            JOIN gold.dim_{member}_current d ON d.{member}_key = s.{member}_key
            WHERE order_date BETWEEN $first AND $last AND d.is_inferred AND s.{member}_key <> 0 GROUP BY 1
        """,  # noqa: S608 - two fixed names
    )


def _shared_key(member: str) -> GoldCheck:
    return GoldCheck(
        name=f"{member}_key_not_shared",
        says=f"No two members of dim_{member} share a durable key.",
        is_error=True,
        sql=f"""
            SELECT order_date, count(*) FROM gold.fact_sales s
            SEMI JOIN (
                SELECT {member}_key FROM gold.dim_{member} WHERE {member}_key <> 0
                GROUP BY 1 HAVING count(DISTINCT (source_system, {member}_id)) > 1
            ) d ON d.{member}_key = s.{member}_key
            WHERE order_date BETWEEN $first AND $last GROUP BY 1
        """,  # noqa: S608 - two fixed names
    )


BEFORE_SIGNUP = GoldCheck(
    name="order_not_before_signup",
    says="No order of the day is older than its customer's signup.",
    is_error=False,
    sql="""
        SELECT order_date, count(*) FROM gold.fact_sales s
        JOIN gold.dim_customer_current c USING (customer_key)
        WHERE order_date BETWEEN $first AND $last AND s.order_date < c.signup_date GROUP BY 1
    """,
)

OUTLIER = GoldCheck(
    name="amount_not_outlying",
    says="No amount of the day lies more than 6 robust deviations from the median of its product.",
    is_error=False,
    # The robust deviation is 1.4826 times the median absolute deviation, which for normal data is the standard one.
    sql="""
        WITH product AS (
            SELECT product_key, median(abs(total_amount)::DOUBLE) AS middle, mad(abs(total_amount)::DOUBLE) AS spread
            FROM gold.fact_sales
            SEMI JOIN (SELECT DISTINCT product_key FROM gold.fact_sales WHERE order_date BETWEEN $first AND $last)
                USING (product_key)
            WHERE product_key <> 0 GROUP BY 1
        )
        SELECT order_date, count(*) FROM gold.fact_sales JOIN product USING (product_key)
        WHERE order_date BETWEEN $first AND $last AND spread > 0
            AND abs(abs(total_amount)::DOUBLE - middle) > 6 * 1.4826 * spread
        GROUP BY 1
    """,
)

GOLD_CHECKS = (
    *(build(member) for build in (_unknown_key, _inferred, _shared_key) for member in ("customer", "product")),
    BEFORE_SIGNUP,
    OUTLIER,
)

_TOTAL = "SELECT order_date, count(*) FROM gold.fact_sales WHERE order_date BETWEEN $first AND $last GROUP BY 1"


def count_failures(con: duckdb.DuckDBPyConnection, check: GoldCheck, *, first: date, last: date) -> Counts:
    """The failing facts of each day of a range; days without are left out."""
    return _counts(con, check.sql, first, last)


def count_facts(con: duckdb.DuckDBPyConnection, *, first: date, last: date) -> Counts:
    """The facts of each day of a range; days without are left out."""
    return _counts(con, _TOTAL, first, last)


def _counts(con: duckdb.DuckDBPyConnection, sql: str, first: date, last: date) -> Counts:
    return dict(con.sql(sql, params={"first": first, "last": last}).fetchall())
