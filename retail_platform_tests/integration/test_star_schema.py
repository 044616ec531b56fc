"""Gold as it is published: order headers, payments, and the views that join them."""

from datetime import date
from decimal import Decimal

import duckdb

from retail_platform.instance.headless import run_range
from retail_platform.serving.gold_checks import ORDER_AGREES, ORDER_KEY_NOT_SHARED, OUTLIER, count_failures
from retail_platform_tests import scenario
from retail_platform_tests.scenario import orders
from retail_platform_tests.shop import Shop

PAYMENTS = """\
payment_id,order_id,payment_date,payment_mode,amount,status,installments
Y1,O1,2024-06-01,Card,100.00,Paid,2
Y2,O1,2024-06-02,Gift card,19.99,Paid,1
Y3,O2,2024-06-02,Cash,2.00,Paid,
Y4,NOBODY,2024-06-02,Cash,7.00,Paid,
"""


def test_orders_and_what_was_paid_for_them(shop: Shop):
    for path, content in scenario.FILES.items():
        shop.deliver(path, content)
    shop.deliver("storefront/payments/payments-2024-06-04.csv", PAYMENTS)
    assert not shop.load().errors
    paid = """
        SELECT order_id, total_amount, payments, paid_amount, installments, difference FROM gold.order_payments
        WHERE order_id IN ('O1', 'O2', 'O3') ORDER BY 1
    """
    assert shop.rows(paid) == [
        # Two lines, paid in two parts to the cent.
        ("O1", Decimal("119.99"), 2, Decimal("119.99"), 3, Decimal("0.00")),
        ("O2", Decimal("1.01"), 1, Decimal("2.00"), None, Decimal("0.99")),
        ("O3", Decimal("10.00"), 0, Decimal("0.00"), None, Decimal("-10.00")),
    ]
    # A payment whose order is not there is a payment all the same.
    assert shop.rows("SELECT sum(amount) FROM gold.fact_payments") == [(Decimal("128.99"),)]
    assert shop.rows("FROM marts.payment_summary ORDER BY ALL")[0][2:] == ("Card", "Paid", 1, 1, Decimal("100.00"), 2)
    headers = "SELECT count(*), sum(lines), sum(net) FROM gold.fact_orders"
    lines = "SELECT count(DISTINCT order_id), count(*), sum(net_amount) FROM gold.fact_sales"
    assert shop.rows(headers) == shop.rows(lines)


def test_checks_on_what_is_published_can_fail(shop: Shop):
    for path, content in scenario.FILES.items():
        shop.deliver(path, content)
    shop.deliver("storefront/payments/payments-2024-06-04.csv", PAYMENTS)
    shop.load()
    first, second = date(2024, 6, 1), date(2024, 6, 2)
    passed = {day: day != second for day in shop.checks("payment_order_found")}
    assert shop.checks("payment_order_found") == passed
    assert all(shop.checks("order_agrees_with_lines").values())
    with duckdb.connect() as con:
        con.sql(f"ATTACH '{shop.platform.warehouse.path}' AS published (READ_ONLY); CREATE SCHEMA gold")
        for table in ("fact_sales", "fact_orders"):
            con.sql(f"CREATE TABLE gold.{table} AS FROM published.gold.{table}")
        con.sql("UPDATE gold.fact_orders SET total_amount = total_amount + 1 WHERE order_id = 'O2'")
        con.sql("DELETE FROM gold.fact_orders WHERE order_id = 'O4'")
        con.sql("UPDATE gold.fact_orders SET order_key = 1 WHERE order_id IN ('O1', 'O5')")
        found = {
            check.name: count_failures(con, check, first=first, last=second, deviations=6)
            for check in (ORDER_AGREES, ORDER_KEY_NOT_SHARED)
        }
    assert found == {
        "order_agrees_with_lines": {first: 1, second: 1},
        "order_key_not_shared": {first: 1, second: 1},
    }


def test_how_far_out_an_outlier_lies_is_a_setting(shop: Shop):
    lines = (f"B{one},2024-06-01,C1,P1,{one},Completed,Card," for one in (1, 2, 3, 9))
    shop.deliver("storefront/orders/orders-2024-06-04.csv", orders(*lines))
    shop.deliver("storefront/products/products-2024-05-31.csv", scenario.PRODUCTS)
    shop.load()
    day = date(2024, 6, 1)
    # 10, 20, 30 and 90: the median is 25, the median distance from it 10.
    with shop.platform.warehouse.connect() as con:
        counted = [count_failures(con, OUTLIER, first=day, last=day, deviations=most) for most in (6, 4)]
    assert counted == [{}, {day: 1}]
    assert shop.checks("amount_not_outlying")[day]
    with Shop(shop.settings.root, outlier_deviations=4) as strict:
        strict.deliver("storefront/orders/orders-2024-06-05.csv", orders("B5,2024-06-01,C1,P2,1,Completed,Card,"))
        strict.load()
        assert not strict.checks("amount_not_outlying")[day]


def test_thresholds_are_settings_that_count_when_days_are_materialized_again(shop: Shop):
    for path, content in scenario.FILES.items():
        shop.deliver(path, content)
    shop.load()
    asked = "SELECT order_id, is_large_order, fees FROM gold.fact_orders WHERE order_id IN ('O1', 'O6') ORDER BY 1"
    assert shop.rows(asked) == [("O1", False, Decimal("0.00")), ("O6", False, Decimal("2.00"))]
    bad_day = date(2024, 6, 3)
    assert shop.checks("quarantine_rate")[bad_day]
    changed = {"large_order_amount": 100, "restocking_fee_rate": "0.25", "quarantine_block_min_rows": 1}
    with Shop(shop.settings.root, **changed) as again:
        run_range(
            again.definitions,
            "load_storefront",
            instance=again.instance,
            start_day="2024-06-01",
            end_day="2024-06-03",
        )
        assert again.rows(asked) == [("O1", True, Decimal("0.00")), ("O6", False, Decimal("5.00"))]
        # Four of its six rows are in quarantine.
        assert not again.checks("quarantine_rate")[bad_day]
