"""The quirks of erp_crm, row by row: two systems that spell one key differently, sales that contradict themselves."""

from datetime import date
from decimal import Decimal

import pytest
from polars.testing import assert_frame_equal

from retail_platform.source_catalog import load_sources
from retail_platform_tests.unit.lanes import compute

SPEC = load_sources(["erp_crm"])["erp_crm"]

CUSTOMERS = """\
cst_id,cst_key,cst_firstname,cst_lastname,cst_marital_status,cst_gndr,cst_create_date\r
1,AW00000001, Jon,Yang ,M,M,2025-10-06\r
2,AW00000002,Carmen,,,,2026-01-25\r
2,AW00000002,Carmen,Subram,S,,2026-01-27\r
2,AW00000002,Carmen,,S,,2026-01-26\r
3,AW00000003,Di,Fox,X,,2025-10-06\r
,SF566,,,,,\r
"""
BIRTHS = """\
CID,BDATE,GEN\r
NASAW00000001,1971-10-06,Female\r
AW00000002,2050-07-06,F \r
"""
PLACES = "CID,CNTRY\r\nAW-00000001,DE\r\nAW-00000002, \r\n"


def test_two_systems_are_one_customer():
    computed = compute(
        SPEC,
        "customers",
        {
            "cust_info/c-2026-02-01.csv": CUSTOMERS,
            "cust_az12/b-2026-02-01.csv": BIRTHS,
            "loc_a101/l-2026-02-01.csv": PLACES,
        },
    )
    found = computed.silver.select(
        "customer_id", "first_name", "last_name", "full_name", "marital_status", "gender", "birth_date", "country"
    )
    assert found.rows() == [
        ("1", "Jon", "Yang", "Jon Yang", "Married", "Male", date(1971, 10, 6), "Germany"),
        # The latest record counts, wherever it stands; the ERP's gender fills in; a birth to come is none.
        ("2", "Carmen", "Subram", "Carmen Subram", "Single", "Female", None, "n/a"),
        ("3", "Di", "Fox", "Di Fox", "n/a", "n/a", None, "n/a"),
    ]
    assert computed.reasons == [["customer_id_missing"]]
    assert computed.superseded == 2


def test_a_key_that_is_spelt_in_two_ways_is_one_key():
    later = "CID,BDATE,GEN\r\nAW00000001,1980-01-01,Male\r\n"
    files = {
        "cust_info/c-2026-02-01.csv": CUSTOMERS,
        "cust_info/c-2026-02-09.csv": CUSTOMERS,
        "cust_az12/b-2026-02-01.csv": BIRTHS,
        "cust_az12/b-2026-02-05.csv": later,
    }
    born = compute(SPEC, "customers", files).silver.sort("customer_id", "drop_date").select("drop_date", "birth_date")
    assert born.rows()[:2] == [(date(2026, 2, 1), date(1971, 10, 6)), (date(2026, 2, 9), date(1980, 1, 1))]


def test_a_product_has_the_versions_that_its_file_names():
    products = """\
prd_id,prd_key,prd_nm,prd_cost,prd_line,prd_start_dt,prd_end_dt\r
212,AC-HE-HL-U509-R,Sport-100 Helmet- Red,12,S ,2011-07-01,2007-12-28\r
213,AC-HE-HL-U509-R,Sport-100 Helmet- Red,,S ,2012-07-01,\r
210,CO-PE-PD-M282,LL Mountain Pedal,18,,2013-07-01,\r
"""
    categories = "ID,CAT,SUBCAT,MAINTENANCE\r\nAC_HE,Accessories,Helmets,Yes\r\nCO_PD,Components,Pedals,No\r\n"
    computed = compute(
        SPEC, "products", {"prd_info/p-2026-02-01.csv": products, "px_cat_g1v2/x-2026-02-01.csv": categories}
    )
    names = ["product_id", "product_line", "category", "subcategory", "unit_cost", "valid_from"]
    assert computed.silver.sort("product_id", "valid_from").select(names).rows() == [
        ("HL-U509-R", "Other Sales", "Accessories", "Helmets", Decimal(12), date(2011, 7, 1)),
        ("HL-U509-R", "Other Sales", "Accessories", "Helmets", Decimal(0), date(2012, 7, 1)),
        # The CRM's CO-PE and the ERP's CO_PD do not meet.
        ("PD-M282", "n/a", None, None, Decimal(18), date(2013, 7, 1)),
    ]
    assert (computed.reasons, computed.superseded) == ([], 0)


SALES_HEADER = (
    "sls_ord_num,sls_prd_key,sls_cust_id,sls_order_dt,sls_ship_dt,sls_due_dt,sls_sales,sls_quantity,sls_price\r\n"
)


@pytest.mark.parametrize(
    ("numbers", "sales", "price"),
    [
        ("100,2,50", 100, 50),
        (",2,50", 100, 50),
        ("0,2,50", 100, 50),
        ("-100,2,50", 100, 50),
        ("7,2,50", 100, 50),
        ("100,2,", 100, 50),
        ("101,2,", 101, 50),  # whole units of money, as the rule says
        ("100,2,0", 0, 50),
        ("769,1,-769", 769, 769),
    ],
)
def test_what_contradicts_itself_is_repaired(numbers: str, sales: int, price: int):
    text = f"{SALES_HEADER}SO1,FR-1,1,20130101,20130108,20130113,{numbers}\r\n"
    computed = compute(SPEC, "orders", {"sales_details/s-2026-02-01.csv": text}, source="erp_crm")
    assert computed.silver.select("total_amount", "unit_price").rows() == [(Decimal(sales), Decimal(price))]


@pytest.mark.parametrize(
    ("numbers", "reasons"),
    [
        (",2,", ["unit_price_unreadable"]),
        ("100,0,", ["quantity_zero", "unit_price_unreadable"]),
        ("-100,2,", ["unit_price_negative"]),
        ("many,2,50", ["total_amount_unreadable"]),
        ("100,2,five", ["unit_price_unreadable"]),
        ("100,two,50", ["quantity_unreadable"]),
    ],
)
def test_what_cannot_be_repaired_is_set_aside(numbers: str, reasons: list[str]):
    text = f"{SALES_HEADER}SO1,FR-1,1,20130101,20130108,20130113,{numbers}\r\n"
    computed = compute(SPEC, "orders", {"sales_details/s-2026-02-01.csv": text}, source="erp_crm")
    assert computed.reasons == [reasons]
    # The row is shown as it came, not as it was repaired.
    assert numbers.split(",", maxsplit=1)[0] in computed.quarantine["raw"].item()


def test_a_date_is_eight_digits_or_none():
    lines = [
        f"SO1,FR-{number},1,{day},20130108,20130113,10,1,10" for number, day in enumerate(("20130101", "0", "32154"))
    ]
    computed = compute(
        SPEC, "orders", {"sales_details/s-2026-02-01.csv": SALES_HEADER + "\r\n".join(lines)}, source="erp_crm"
    )
    found = computed.silver.select("order_id", "line_number", "order_date", "ship_date", "due_date")
    assert found.rows() == [("SO1", 1, date(2013, 1, 1), date(2013, 1, 8), date(2013, 1, 13))]
    assert computed.reasons == [["order_date_unreadable"]] * 2


def test_the_order_of_arrival_does_not_matter():
    files = {
        "cust_info/c-2026-02-01.csv": CUSTOMERS,
        "cust_info/d-2026-02-01.csv": CUSTOMERS.replace("Subram", "Sun"),
        "cust_az12/b-2026-02-01.csv": BIRTHS,
        "cust_az12/c-2026-02-03.csv": BIRTHS.replace("1971", "1972"),
    }
    backwards = dict(reversed(files.items()))
    assert_frame_equal(compute(SPEC, "customers", files).silver, compute(SPEC, "customers", backwards).silver)
