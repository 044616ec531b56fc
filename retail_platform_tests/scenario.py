"""One awkward little shop, used by all tests: what it delivers, as constants.

Twelve orders over three days in June 2024: one of two lines, one cancelled, one whose customer nobody knows, one whose
product nobody knows, and rows that break a rule each.
"""

CUSTOMERS = """\
customer_id,customer_name,email,city,state,country,signup_date
C1,Ann Lee,ann@example.com,Boston,MA,USA,2023-01-05
C2,Bob Ray,bob@example.com,Austin,TX,USA,2023-02-10
C3,Cy Poe,not-an-address,Reno,NV,USA,2023-03-15
C4,Di Fox,di@example.com,Salem,or,USA,2024-06-02
"""

PRODUCTS = """\
product_id,product_name,category,price
P1,Lamp,Home,10.00
P2,Desk,Home,99.99
P3,Pen,Office,0.335
"""

ORDERS = """\
order_id,order_date,customer_id,product_id,quantity,order_status,payment_mode,line_number
O1,2024-06-01,C1,P1,2,Completed,Card,1
O1,2024-06-01,C1,P2,1,Completed,Card,2
O2,2024-06-01,C2,P3,3,,Cash,
O3,2024-06-01,C4,P1,1,Cancelled,Card,
O4,2024-06-02,C9,P1,1,Completed,Card,
O5,2024-06-02,,P2,1,Completed,Card,
O6,2024-06-02,C2,P1,-2,Returned,Card,
O7,2024-06-03,C1,P9,1,Completed,Card,
O8,2024-06-03,C1,P1,0,Completed,Card,
O9,2024-06-03,C1,P1,two,Lost,Card,
,2024-06-03,C1,P1,1,Completed,Card,
O11,someday,C1,P1,1,Completed,Card,
O12,2024-06-03,C2,P2,1,Completed,Card,
"""

FILES = {
    "storefront/customers/customers-2024-05-31.csv": CUSTOMERS,
    "storefront/products/products-2024-05-31.csv": PRODUCTS,
    "storefront/orders/orders-2024-06-04.csv": ORDERS,
}

INVOICE_HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"

LATER_FILES = {
    # Two lines change, an order moves to another day, one leaves quarantine, one gets its date.
    "storefront/orders/orders-2024-06-05.csv": """\
order_id,order_date,customer_id,product_id,quantity,order_status,payment_mode,line_number
O1,2024-06-01,C1,P1,5,Completed,Card,1
O2,2024-06-01,C2,P3,3,Refunded,Cash,
O4,2024-06-03,C9,P1,1,Completed,Card,
O9,2024-06-03,C1,P1,2,Completed,Card,
O11,2024-06-02,C1,P1,1,Completed,Card,
""",
    # The order moves once more; another is now without quantity.
    "storefront/orders/orders-2024-06-06.csv": """\
order_id,order_date,customer_id,product_id,quantity,order_status,payment_mode,line_number
O4,2024-06-01,C9,P1,4,Completed,Card,
O12,2024-06-03,C2,P2,,Completed,Card,
""",
    "storefront/products/products-2024-05-20.csv": "product_id,product_name,category,price\nP1,Lamp,Home,9.00\n",
    "storefront/products/products-2024-06-02.csv": """\
product_id,product_name,category,price
P1,Lamp,Light,12.00
P9,Chair,Home,45.50
""",
    "storefront/customers/customers-2024-06-02.csv": """\
customer_id,customer_name,email,city,state,country,signup_date
C1,Ann Lee,ann@example.com,Dallas,TX,USA,2023-01-05
C3,Cy Poe,cy@example.com,Reno,NV,USA,2023-03-15
C9,Ed Ham,ed@example.com,Boise,ID,USA,2024-05-01
""",
}
"""What changes the first files' answers, in whatever order it comes."""

INVOICE_FILES = {
    "online_retail/invoices/2010-12-01.csv": f"""\
{INVOICE_HEADER}
536365,85123A,HEART HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
536365,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom
536366,22633,HAND WARMER,6,2010-12-01 08:28:00,1.85,,United Kingdom
""",
    "online_retail/invoices/2010-12-02.csv": f"""\
{INVOICE_HEADER}
536365,85123a,T-LIGHT HOLDER,4,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
C536367,22633,HAND WARMER,-6,2010-12-02 09:00:00,1.85,17850,France
536368,85123A,T-LIGHT HOLDER,1,2010-12-02 09:30:00,2.55,12345.0,France
""",
}

ORDER_HEADER = ORDERS.splitlines()[0]


def orders(*lines: str) -> str:
    """An orders file with these lines."""
    return "\n".join([ORDER_HEADER, *lines]) + "\n"


def invoices(*lines: str) -> str:
    """An invoices file with these lines."""
    return "\n".join([INVOICE_HEADER, *lines]) + "\n"


def products(*lines: str) -> str:
    """A price list with these lines."""
    return "\n".join([PRODUCTS.splitlines()[0], *lines]) + "\n"


def customers(*lines: str) -> str:
    """A customer file with these lines."""
    return "\n".join([CUSTOMERS.splitlines()[0], *lines]) + "\n"


MARKET_ORDER_HEADER = (
    "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,order_delivered_carrier_date,"
    "order_delivered_customer_date,order_estimated_delivery_date"
)
MARKET_ITEM_HEADER = "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value"
MARKET_PAYMENT_HEADER = "order_id,payment_sequential,payment_type,payment_installments,payment_value"


def market_orders(*orders: str) -> str:
    """An olist file of orders, each said as `id customer status 2024-06-01T10:00:00` (`-` for nothing)."""
    parts = [["" if part == "-" else part for part in order.split()] for order in orders]
    lines = [",".join([*three, at.replace("T", " "), "", "", "", ""]) for *three, at in parts]
    return "\n".join([MARKET_ORDER_HEADER, *lines]) + "\n"


def market_items(*items: str) -> str:
    """An olist file of order items, each said as `order item product price freight` (`-` for nothing)."""
    parts = [["" if part == "-" else part for part in item.split()] for item in items]
    lines = [
        f"{order},{item},{product},S1,2024-07-01 00:00:00,{price},{freight}"
        for order, item, product, price, freight in parts
    ]
    return "\n".join([MARKET_ITEM_HEADER, *lines]) + "\n"


def market_payments(*payments: str) -> str:
    """An olist file of payments, each said as `order number method installments amount`."""
    return "\n".join([MARKET_PAYMENT_HEADER, *(",".join(payment.split()) for payment in payments)]) + "\n"


def market_customers(*customers: str) -> str:
    """An olist file of customers, each said as `id person city state`."""
    header = "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state"
    parts = [customer.split() for customer in customers]
    return "\n".join([header, *(f"{key},{person},01000,{city},{state}" for key, person, city, state in parts)]) + "\n"


MARKET_FILES = {
    "olist/customers/customers-2024-06-01.csv": market_customers(
        "K1 ann recife PE", "K2 bob manaus AM", "K3 ann natal RN"
    ),
    "olist/orders/orders-2024-06-04.csv": market_orders(
        "A K1 delivered 2024-06-01T10:00:00",
        "B K2 shipped 2024-06-01T23:30:00",
        "C K3 canceled 2024-06-02T09:00:00",
        "D K9 unavailable 2024-06-03T09:00:00",  # without items
        "E K2 lost 2024-06-03T10:00:00",  # of no status we know
        "F K2 created someday",
    ),
    "olist/order_items/items-2024-06-04.csv": market_items(
        "A 1 P1 10.00 1.50",
        "A 2 P2 20.00 2.50",
        "B 1 P1 10.00 1.50",
        "C 1 P3 7.77 0.00",
        "E 1 P1 1.00 1.00",
        "F 1 P1 2.00 1.00",
        "G 1 P1 5.00 1.00",  # its order comes later
        "H 1 P1 6.00 1.00",  # its order never comes
        "H 2 P1 free 1.00",
        "- 1 P1 8.00 1.00",
    ),
    "olist/order_payments/payments-2024-06-04.csv": market_payments(
        "A 1 credit_card 3 34.00", "B 1 boleto 1 11.50", "C 1 voucher 1 7.77", "G 1 voucher 1 6.00"
    ),
}
"""A small marketplace, whose order lines and payments have their date in the file of orders."""

LATER_MARKET_FILES = {
    # G comes at last, B moves to another day, A is another customer's, D is now delivered.
    "olist/orders/orders-2024-06-05.csv": market_orders(
        "G K1 approved 2024-06-02T11:00:00",
        "B K2 delivered 2024-06-03T08:00:00",
        "A K2 delivered 2024-06-01T10:00:00",
        "D K1 delivered 2024-06-03T09:00:00",
    ),
    # B moves once more, F gets its date.
    "olist/orders/orders-2024-06-07.csv": market_orders(
        "B K2 delivered 2024-06-02T08:00:00", "F K2 created 2024-06-01T09:00:00"
    ),
    # An item costs something else, one becomes free of price, one more comes.
    "olist/order_items/items-2024-06-06.csv": market_items(
        "A 1 P1 12.00 1.50", "C 1 P3 gratis 0.00", "B 2 P2 3.00 0.50", "H 1 P1 6.60 1.00"
    ),
    "olist/order_payments/payments-2024-06-06.csv": market_payments("A 1 credit_card 6 36.00", "B 2 voucher 1 3.50"),
    "olist/customers/customers-2024-06-05.csv": market_customers("K9 cid belem PA", "K2 bob olinda PE"),
}
"""What changes that marketplace, in whatever order it comes."""
