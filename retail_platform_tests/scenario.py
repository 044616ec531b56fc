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

ORDER_HEADER = ORDERS.splitlines()[0]


def orders(*lines: str) -> str:
    """An orders file with these lines."""
    return "\n".join([ORDER_HEADER, *lines]) + "\n"
