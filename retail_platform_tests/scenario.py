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
