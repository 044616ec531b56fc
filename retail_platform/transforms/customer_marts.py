"""Snapshot marts about customers: segments, the top ones, cohorts (rules: TABLES.md, "Marts").

They are about customers that are known and bought something; within a source, for sources are different companies.
"""

from dataclasses import dataclass
from decimal import Decimal

import narwhals as nw

from retail_platform.contracts.marts import CUSTOMER_COHORTS, CUSTOMER_SEGMENTS, TOP_CUSTOMERS
from retail_platform.contracts.snapshot_names import SNAPSHOT_DATE
from retail_platform.transforms.calendar import day_number
from retail_platform.transforms.facts import known
from retail_platform.transforms.snapshots import PER_SOURCE, average, described, share_of, with_as_of

_QUINTILES = (0.2, 0.4, 0.6, 0.8)
_CUSTOMER = [*PER_SOURCE, "customer_key", "customer_id"]


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Where segments begin.

    Attributes:
        high: Spending from which a customer is of high value.
        medium: Spending from which a customer is of medium value.
        upper: Customers above this percentile of spending are High.
        lower: Customers above this percentile of spending, and not High, are Medium.
    """

    high: Decimal
    medium: Decimal
    upper: float
    lower: float


def customer_segments(lines: nw.LazyFrame, segmentation: Segmentation) -> nw.LazyFrame:
    """What each customer is worth (contract `customer_segments`).

    Percentiles are linear, and a score is 1 + the number of quintiles that a value lies above, so that equal customers
    have equal scores; the more lately, often and much somebody bought, the higher.

    Args:
        lines: `lines_seen`.
        segmentation: Where segments begin.
    """
    customers = with_as_of(_buyers(lines), lines).with_columns(
        average("total_spent", "order_count").alias("avg_order_value"),
        (nw.col("order_count") > 1).alias("is_repeat"),
        (day_number(nw.col("as_of")) - day_number(nw.col("last_order_date"))).alias("recency_days"),
        nw.col("total_spent").cast(nw.Float64()).alias("spent"),
        nw.col("order_count").cast(nw.Float64()).alias("often"),
    )
    customers = customers.with_columns((-nw.col("recency_days")).cast(nw.Float64()).alias("lately"))
    scores = {"recency_score": "lately", "frequency_score": "often", "monetary_score": "spent"}
    cuts = [_quantile(name, point) for name in scores.values() for point in _QUINTILES]
    cuts += [_quantile("spent", segmentation.lower, "p_lower"), _quantile("spent", segmentation.upper, "p_upper")]
    cut = customers.join(customers.group_by(PER_SOURCE).agg(*cuts), on=PER_SOURCE, how="left")
    return CUSTOMER_SEGMENTS.cast(
        cut.with_columns(
            value_segment(segmentation).alias("value_segment"),
            _three(nw.col("spent") > nw.col("p_upper"), nw.col("spent") > nw.col("p_lower")).alias(
                "percentile_segment"
            ),
            *(_score(of).alias(name) for name, of in scores.items()),
        )
    )


def _buyers(lines: nw.LazyFrame) -> nw.LazyFrame:
    """One row per customer who bought something: what, how often, when."""
    return (
        lines.filter(~nw.col("buyer").is_null())
        .group_by(_CUSTOMER)
        .agg(
            nw.col("sale").sum().alias("total_spent"),
            known(nw.col("sold_order")).alias("order_count"),
            nw.col("order_date").min().alias("first_order_date"),
            nw.col("order_date").max().alias("last_order_date"),
            known(nw.col("product_id")).alias("unique_products"),
        )
    )


def value_segment(segmentation: Segmentation) -> nw.Expr:
    """High, Medium or Low by what a customer has spent."""
    spent = nw.col("total_spent")
    return _three(spent >= nw.lit(segmentation.high), spent >= nw.lit(segmentation.medium))


def _three(is_high: nw.Expr, is_medium: nw.Expr) -> nw.Expr:
    lower = nw.when(is_medium).then(nw.lit("Medium")).otherwise(nw.lit("Low"))
    return nw.when(is_high).then(nw.lit("High")).otherwise(lower)


def _quantile(name: str, point: float, alias: str | None = None) -> nw.Expr:
    return nw.col(name).quantile(point, interpolation="linear").alias(alias or f"{name}_{point}")


def _score(name: str) -> nw.Expr:
    above = [(nw.col(name) > nw.col(f"{name}_{point}")).cast(nw.Int64()) for point in _QUINTILES]
    return nw.sum_horizontal(*above) + 1


def top_customers(
    lines: nw.LazyFrame, customers: nw.LazyFrame, *, number: int, segmentation: Segmentation
) -> nw.LazyFrame:
    """The customers who spent most, and their share of what all known customers spent (contract `top_customers`).

    Args:
        lines: `lines_seen`.
        customers: The published dim_customer, which holds names masked.
        number: How many of each source.
        segmentation: Where segments begin.
    """
    buyers = _buyers(lines).with_columns(
        share_of("total_spent", PER_SOURCE).alias("share"),
        value_segment(segmentation).alias("value_segment"),
        (-nw.col("total_spent")).alias("least_first"),
        nw.lit(1).alias("one"),
    )
    # Who spent the same stands in the order of ids: a list of so many has a place for each.
    place = nw.col("one").cum_sum().over(*PER_SOURCE, order_by=["least_first", "customer_id"])
    top = buyers.with_columns(place.cast(nw.Int64()).alias("rank")).filter(nw.col("rank") <= number)
    names = {"full_name": "customer_name", "email": "email"}
    labelled = described(top, customers, key="customer_key", day=SNAPSHOT_DATE, take=names)
    return TOP_CUSTOMERS.cast(with_as_of(labelled, lines))


def customer_cohorts(lines: nw.LazyFrame) -> nw.LazyFrame:
    """What became of those whose first order was in a month (contract `customer_cohorts`), from `lines_seen`."""
    bought = lines.filter(~nw.col("buyer").is_null())
    customer = [*PER_SOURCE, "customer_key"]
    first = bought.group_by(customer).agg(nw.col("order_date").min().dt.truncate("1mo").alias("cohort_month"))
    dated = bought.join(first, on=customer, how="left").with_columns(
        (_months(nw.col("order_date")) - _months(nw.col("cohort_month"))).alias("months_since")
    )
    cohort = [*PER_SOURCE, "cohort_month"]
    months = dated.group_by([*cohort, "months_since"]).agg(
        known(nw.col("customer_key")).alias("customers"),
        known(nw.col("sold_order")).alias("orders"),
        nw.col("sale").sum().alias("revenue"),
    )
    sizes = first.group_by(cohort).agg(known(nw.col("customer_key")).alias("cohort_size"))
    rows = months.join(sizes, on=cohort, how="left").with_columns(
        (nw.col("customers").cast(nw.Float64()) / nw.col("cohort_size").cast(nw.Float64())).alias("retention")
    )
    return CUSTOMER_COHORTS.cast(with_as_of(rows, lines))


def _months(day: nw.Expr) -> nw.Expr:
    return day.dt.year().cast(nw.Int64()) * 12 + day.dt.month().cast(nw.Int64())
