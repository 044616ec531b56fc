"""Gold as it is published: order headers, payments, and the views that join them."""

from decimal import Decimal

from retail_platform_tests import scenario
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
