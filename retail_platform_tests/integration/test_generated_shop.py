"""A generated shop is loaded, and every row must end where the generator says: each proves the other."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform.generator.feeds import FEEDS
from retail_platform.generator.plan import ShopPlan
from retail_platform.generator.shop import GeneratedShop, make_shop
from retail_platform.generator.truth import QUARANTINED, Truth, truth_of
from retail_platform.generator.writing import write_shop
from retail_platform_tests.shop import Shop

PLAN = ShopPlan(start=date(2024, 6, 1), days=30, orders_per_day=20, seed=7, dirt=0.2)
"""So dirty that every kind of dirt occurs."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A platform that has loaded a generated shop, and what it must hold."""

    shop: Shop
    generated: GeneratedShop
    truth: Mapping[str, Truth]


@pytest.fixture(scope="module", params=[1, pytest.param(3, marks=pytest.mark.slow)], ids="{} portions".format)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    generated = make_shop(PLAN)
    folder = tmp_path_factory.mktemp("generated")
    write_shop(generated, folder / "landing" / "storefront")
    files = sorted(folder.rglob("*.csv"), key=lambda file: file.name.split("_")[1])
    with Shop(folder / "data", sources=("storefront",)) as shop:
        for portion in reversed(range(request.param)):
            for file in files[portion :: request.param]:
                target = shop.settings.root / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target)
            assert shop.load().errors == []
        yield Loaded(shop=shop, generated=generated, truth=truth_of(generated))


@pytest.mark.parametrize("feed", FEEDS)
def test_silver_is_the_truth(loaded: Loaded, feed: str):
    truth = loaded.truth[feed].silver
    silver = loaded.shop.frame(f"SELECT {', '.join(truth.columns)} FROM silver.storefront_{feed}")
    assert_frame_equal(silver, truth, check_row_order=False)


@pytest.mark.parametrize("feed", FEEDS)
def test_each_broken_row_is_set_aside_on_its_day_for_its_reason(loaded: Loaded, feed: str):
    found = loaded.shop.frame(f"""
        SELECT partition_date, reason, count(*) AS "rows"
        FROM (SELECT partition_date, unnest(reasons) AS reason FROM silver.storefront_{feed}_quarantine)
        GROUP BY ALL ORDER BY ALL
    """)
    assert_frame_equal(found.match_to_schema(QUARANTINED), loaded.truth[feed].quarantined)


def test_the_books_know_every_row(loaded: Loaded):
    found = loaded.shop.frame("""
        SELECT entity, sum(silver_rows)::BIGINT AS silver, sum(quarantined_rows)::BIGINT AS quarantined,
            sum(superseded_rows)::BIGINT AS superseded
        FROM ops.books GROUP BY ALL ORDER BY ALL
    """)
    expected = pl.DataFrame(
        {
            "entity": list(loaded.truth),
            "silver": [truth.silver.height for truth in loaded.truth.values()],
            "quarantined": [truth.quarantined["rows"].sum() for truth in loaded.truth.values()],
            "superseded": [truth.superseded for truth in loaded.truth.values()],
        }
    )
    assert_frame_equal(found, expected.sort("entity"))


def test_payments_are_what_their_orders_come_to(loaded: Loaded):
    """Where all lines of an order are in the facts: paid is what they add up to, to the cent."""
    lines = loaded.generated.true["orders"].group_by("order_id").agg(pl.len().cast(pl.Int64).alias("lines"))
    orders = loaded.shop.frame("""
        SELECT o.order_id, o.lines, o.amount, p.amount AS paid
        FROM (SELECT order_id, count(*) AS lines, sum(total_amount) AS amount FROM gold.fact_sales GROUP BY ALL) AS o
        JOIN silver.storefront_payments AS p USING (order_id)
    """)
    whole = orders.join(lines, on=["order_id", "lines"])
    assert whole.height > 0.8 * orders.height
    assert_frame_equal(whole.select("order_id", amount="paid"), whole.select("order_id", "amount"), check_dtypes=False)


def test_customers_and_products_that_nobody_delivered_are_inferred(loaded: Loaded):
    lines = loaded.truth["orders"].silver
    delivered = loaded.truth["customers"].silver["customer_id"]
    unknown = lines.filter(~pl.col("customer_id").is_in(delivered.implode()))["customer_id"].unique().sort()
    inferred = loaded.shop.frame("""
        SELECT customer_id FROM gold.dim_customer WHERE is_inferred AND customer_id IS NOT NULL ORDER BY 1
    """)
    assert inferred["customer_id"].to_list() == unknown.to_list() != []
