"""Snapshot marts in DuckDB's SQL, written from TABLES.md and not from the transformations: what those must agree with.

Each gives the mart as of the end of `$day`, from `gold.fact_sales`, `gold.dim_customer`, `gold.dim_product` and
`gold.dim_date`. Amounts are exact; shares and the like are DOUBLE.
"""

from collections.abc import Mapping

import polars as pl
from polars.testing import assert_frame_equal

from retail_platform.contracts.marts import SNAPSHOT_MARTS

_LINES = """
    lines AS (
        SELECT *, total_amount > 0 AND status IN ('Completed', 'Open') AS sold FROM gold.fact_sales
        WHERE order_date <= $day
    ),
    newest AS (SELECT source_system, max(order_date) AS as_of FROM lines GROUP BY 1),
    sales AS (SELECT * FROM lines WHERE sold)"""

_CUSTOMERS = f"""{_LINES},
    customers AS (
        SELECT source_system, customer_key, customer_id, sum(total_amount) AS total_spent,
            count(DISTINCT order_id) AS order_count, min(order_date) AS first_order_date,
            max(order_date) AS last_order_date, count(DISTINCT product_id) AS unique_products
        FROM sales WHERE customer_id IS NOT NULL GROUP BY ALL
    )"""

_PERIODS = ", ".join(
    f"{{'calendar': '{calendar}', 'period_type': '{kind}', 'period_start': {start}}}"
    for calendar, kinds in {
        "calendar": {kind: f"date_trunc('{kind}', date)::DATE" for kind in ("week", "month", "quarter", "year")},
        "fiscal": {
            "week": "min(date) OVER (PARTITION BY fiscal_year, fiscal_week)",
            "month": "min(date) OVER (PARTITION BY fiscal_year, fiscal_month)",
            "quarter": "min(date) OVER (PARTITION BY fiscal_year, fiscal_quarter)",
            "year": "min(date) OVER (PARTITION BY fiscal_year)",
        },
    }.items()
    for kind, start in kinds.items()
)

MART_SQL: Mapping[str, str] = {
    # Growth follows from the rows themselves, and has a test of its own.
    "sales_by_period": f"""
        WITH {_LINES},
        days AS (
            SELECT date AS order_date, period.calendar, period.period_type, period.period_start
            FROM (SELECT date, unnest([{_PERIODS}]) AS period FROM gold.dim_date)
        )
        SELECT source_system, calendar, period_type, period_start,
            coalesce(sum(total_amount) FILTER (sold), 0) AS sales,
            coalesce(-sum(total_amount) FILTER (total_amount < 0), 0) AS refunds,
            sum(restocking_fee) AS restocking_fees,
            coalesce(sum(total_amount) FILTER (sold), 0) + coalesce(sum(total_amount) FILTER (total_amount < 0), 0)
                + sum(restocking_fee) AS net,
            coalesce(sum(quantity) FILTER (sold), 0) AS items_sold,
            coalesce(sum(abs(quantity)) FILTER (total_amount < 0), 0) AS items_refunded,
            count(DISTINCT order_id) FILTER (sold) AS orders,
            count(DISTINCT customer_id) FILTER (sold) AS unique_customers
        FROM lines JOIN days USING (order_date) GROUP BY ALL
    """,
    "product_performance": f"""
        WITH {_LINES},
        sold AS (
            SELECT source_system, territory, product_id, sum(total_amount) AS revenue, sum(quantity) AS quantity,
                count(DISTINCT order_id) AS order_count
            FROM sales WHERE product_id IS NOT NULL GROUP BY ALL
        )
        SELECT s.*, p.product_name,
            (((revenue * 200)::BIGINT + quantity::BIGINT) // (2 * quantity::BIGINT)) / 100 AS avg_price,
            dense_rank() OVER market AS rank, first(revenue) OVER market AS best_revenue,
            first(revenue) OVER market - revenue AS difference_from_best
        FROM sold s LEFT JOIN gold.dim_product p
            ON p.source_system = s.source_system AND p.product_id = s.product_id
            AND $day BETWEEN p.valid_from AND p.valid_to
        WINDOW market AS (PARTITION BY s.source_system, territory ORDER BY revenue DESC)
    """,
    "product_family_sales": f"""
        WITH {_LINES}
        SELECT s.source_system, product_family, category, sum(total_amount) AS revenue, sum(quantity) AS units,
            count(DISTINCT s.product_id) AS products,
            sum(total_amount)::DOUBLE / sum(sum(total_amount)) OVER (PARTITION BY s.source_system)::DOUBLE AS share,
            dense_rank() OVER (PARTITION BY s.source_system ORDER BY sum(total_amount) DESC) AS rank
        FROM sales s LEFT JOIN gold.dim_product p
            ON p.source_system = s.source_system AND p.product_id = s.product_id
            AND s.order_date BETWEEN p.valid_from AND p.valid_to
        WHERE s.product_id IS NOT NULL GROUP BY 1, 2, 3
    """,
    "regional_sales": f"""
        WITH {_LINES}
        SELECT s.source_system, coalesce(s.region, c.region) AS region, count(DISTINCT order_id) AS orders,
            sum(total_amount) AS revenue,
            count(DISTINCT s.customer_id) AS customers,
            sum(total_amount)::DOUBLE / sum(sum(total_amount)) OVER (PARTITION BY s.source_system)::DOUBLE AS share
        FROM sales s LEFT JOIN gold.dim_customer c
            ON c.source_system = s.source_system AND c.customer_id = s.customer_id
            AND s.order_date BETWEEN c.valid_from AND c.valid_to
        GROUP BY 1, 2
    """,
    "order_status_impact": f"""
        WITH {_LINES}
        SELECT source_system, status, count(DISTINCT order_id) AS orders, sum(abs(total_amount)) AS amount,
            count(DISTINCT order_id)::DOUBLE / sum(count(DISTINCT order_id)) OVER source AS share_of_orders,
            sum(abs(total_amount))::DOUBLE / sum(sum(abs(total_amount))) OVER source::DOUBLE AS share_of_amount,
            coalesce(sum(abs(total_amount)) FILTER (NOT sold), 0) AS revenue_lost
        FROM lines GROUP BY 1, 2 WINDOW source AS (PARTITION BY source_system)
    """,
    "customer_segments": f"""
        WITH {_CUSTOMERS},
        cuts AS (
            SELECT source_system, quantile_cont(total_spent::DOUBLE, [0.2, 0.4, 0.6, 0.8, 0.33, 0.67]) AS spent,
                quantile_cont(order_count::DOUBLE, [0.2, 0.4, 0.6, 0.8]) AS often,
                quantile_cont((last_order_date - DATE '2000-01-01')::DOUBLE, [0.2, 0.4, 0.6, 0.8]) AS lately
            FROM customers GROUP BY 1
        )
        SELECT c.*, as_of, as_of - last_order_date AS recency_days, order_count > 1 AS is_repeat,
            CASE WHEN total_spent >= 10000 THEN 'High' WHEN total_spent >= 5000 THEN 'Medium' ELSE 'Low' END
                AS value_segment,
            CASE WHEN total_spent > spent[6] THEN 'High' WHEN total_spent > spent[5] THEN 'Medium' ELSE 'Low' END
                AS percentile_segment,
            1 + len(list_filter(lately, lambda x: (last_order_date - DATE '2000-01-01') > x)) AS recency_score,
            1 + len(list_filter(often, lambda x: order_count > x)) AS frequency_score,
            1 + len(list_filter(spent[:4], lambda x: total_spent::DOUBLE > x)) AS monetary_score
        FROM customers c JOIN cuts USING (source_system) JOIN newest USING (source_system)
    """,
    "top_customers": f"""
        WITH {_CUSTOMERS},
        ranked AS (
            SELECT *, row_number() OVER (PARTITION BY source_system ORDER BY total_spent DESC, customer_id) AS rank,
                total_spent::DOUBLE / sum(total_spent) OVER (PARTITION BY source_system)::DOUBLE AS share
            FROM customers
        )
        SELECT r.rank, r.source_system, r.customer_id, r.total_spent, r.order_count, r.share,
            d.full_name AS customer_name, d.email
        FROM ranked r LEFT JOIN gold.dim_customer d
            ON d.source_system = r.source_system AND d.customer_id = r.customer_id
            AND $day BETWEEN d.valid_from AND d.valid_to
        WHERE rank <= 100
    """,
    "customer_cohorts": f"""
        WITH {_CUSTOMERS},
        months AS (
            SELECT s.source_system, date_trunc('month', first_order_date)::DATE AS cohort_month,
                datediff('month', first_order_date, s.order_date) AS months_since, s.customer_key, s.order_id,
                s.total_amount
            FROM sales s JOIN customers USING (source_system, customer_key)
        )
        SELECT source_system, cohort_month, months_since, count(DISTINCT customer_key) AS customers,
            count(DISTINCT order_id) AS orders, sum(total_amount) AS revenue,
            first(cohort_size) AS cohort_size, count(DISTINCT customer_key) / first(cohort_size) AS retention
        FROM months JOIN (
            SELECT source_system, cohort_month, count(DISTINCT customer_key) AS cohort_size FROM months GROUP BY ALL
        ) USING (source_system, cohort_month)
        GROUP BY ALL
    """,
    "product_affinity": f"""
        WITH {_LINES},
        baskets AS (
            SELECT DISTINCT source_system, order_id, product_id FROM sales WHERE product_id IS NOT NULL
        ),
        products AS (SELECT source_system, product_id, count(*) AS orders FROM baskets GROUP BY ALL),
        every AS (SELECT source_system, count(DISTINCT order_id) AS n FROM sales GROUP BY 1),
        pairs AS (
            SELECT a.source_system, a.product_id, b.product_id AS other_product_id, count(*) AS orders_together
            FROM baskets a JOIN baskets b USING (source_system, order_id)
            SEMI JOIN (FROM products WHERE orders >= 20) p
                ON p.source_system = a.source_system AND p.product_id = a.product_id
            WHERE a.product_id <> b.product_id GROUP BY ALL HAVING count(*) >= 20
        )
        SELECT pairs.*, p.orders, orders_together / n AS support, orders_together / p.orders AS confidence,
            orders_together * n / (p.orders * o.orders) AS lift
        FROM pairs JOIN every USING (source_system) JOIN products p USING (source_system, product_id)
        JOIN products o ON o.source_system = pairs.source_system AND o.product_id = other_product_id
    """,
}
"""Snapshot mart -> its rows, in any order, with the columns that are compared."""


def assert_agrees(name: str, found: pl.DataFrame, expected: pl.DataFrame) -> None:
    """The same rows: exactly where the mart is exact, else as near as floats are."""
    compared = [column for column in found.columns if column in expected.columns]
    assert set(compared) == set(expected.columns)
    types = {column: found.schema[column] for column in compared}
    key = [column for column in SNAPSHOT_MARTS[name].key if column in compared]
    key += [column for column in ("product_id", "other_product_id", "customer_id") if column in compared]
    one, other = (
        frame.select(compared).cast(pl.Schema(types)).sort(key, nulls_last=True) for frame in (found, expected)
    )
    assert one.height > 0
    assert_frame_equal(one, other, check_exact=False, abs_tol=1e-9)
