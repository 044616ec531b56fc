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
        facts: The table whose rows are looked at.
    """

    name: str
    says: str
    is_error: bool
    sql: str
    facts: str = "fact_sales"


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
    says="No amount of the day lies further from the median of its product than 6 robust deviations "
    "(RETAIL_OUTLIER_DEVIATIONS).",
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
            AND abs(abs(total_amount)::DOUBLE - middle) > $deviations * 1.4826 * spread
        GROUP BY 1
    """,
)

ORDER_AGREES = GoldCheck(
    name="order_agrees_with_lines",
    says="Every order of the day has the lines and the total that fact_sales has of it.",
    is_error=True,
    sql="""
        WITH lines AS (
            SELECT order_date, source_system, order_id, count(*) AS lines, sum(total_amount) AS total
            FROM gold.fact_sales WHERE order_date BETWEEN $first AND $last GROUP BY ALL
        ), orders AS (
            SELECT order_date, source_system, order_id, lines, total_amount FROM gold.fact_orders
            WHERE order_date BETWEEN $first AND $last
        )
        SELECT order_date, count(*) FROM lines FULL JOIN orders USING (order_date, source_system, order_id)
        WHERE coalesce(lines.lines, 0) IS DISTINCT FROM orders.lines
            OR coalesce(lines.total, 0) IS DISTINCT FROM orders.total_amount
        GROUP BY 1
    """,
    facts="fact_orders",
)

ORDER_KEY_NOT_SHARED = GoldCheck(
    name="order_key_not_shared",
    says="No two orders share a durable key.",
    is_error=True,
    sql="""
        SELECT order_date, count(*) FROM gold.fact_orders
        SEMI JOIN (
            SELECT order_key FROM gold.fact_orders GROUP BY 1 HAVING count(DISTINCT (source_system, order_id)) > 1
        ) USING (order_key)
        WHERE order_date BETWEEN $first AND $last GROUP BY 1
    """,
    facts="fact_orders",
)

PAYMENT_HAS_ORDER = GoldCheck(
    name="payment_order_found",
    says="Every payment of the day is of an order that was delivered.",
    is_error=False,
    sql="""
        SELECT payment_date, count(*) FROM gold.fact_payments ANTI JOIN gold.fact_orders USING (order_key)
        WHERE payment_date BETWEEN $first AND $last GROUP BY 1
    """,
    facts="fact_payments",
)

GOLD_CHECKS = (
    *(build(member) for build in (_unknown_key, _inferred, _shared_key) for member in ("customer", "product")),
    BEFORE_SIGNUP,
    OUTLIER,
    ORDER_AGREES,
    ORDER_KEY_NOT_SHARED,
    PAYMENT_HAS_ORDER,
)

_DAYS = {"fact_sales": "order_date", "fact_orders": "order_date", "fact_payments": "payment_date"}
"""Fact table -> its day."""


def count_failures(
    con: duckdb.DuckDBPyConnection, check: GoldCheck, *, first: date, last: date, deviations: float
) -> Counts:
    """The failing facts of each day of a range; days without are left out.

    Args:
        con: The warehouse.
        check: What is checked.
        first: The first day.
        last: The last day.
        deviations: How far from its product's median an amount may lie, in robust deviations.
    """
    given = {"first": first, "last": last, "deviations": deviations}
    return _counts(con, check.sql, {name: value for name, value in given.items() if f"${name}" in check.sql})


def count_facts(con: duckdb.DuckDBPyConnection, *, first: date, last: date) -> Mapping[str, Counts]:
    """By fact table, the facts of each day of a range; days without are left out."""
    return {
        table: _counts(
            con,
            f"SELECT {day}, count(*) FROM gold.{table} WHERE {day} BETWEEN $first AND $last GROUP BY 1",  # noqa: S608
            {"first": first, "last": last},
        )
        for table, day in _DAYS.items()
    }


def _counts(con: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, object]) -> Counts:
    return dict(con.sql(sql, params=dict(params)).fetchall())
