"""The quirks of psycho_bunny, row by row: refunds by sign, customer files of four countries, a fiscal calendar."""

from datetime import date
from decimal import Decimal

from retail_platform.source_catalog import load_sources
from retail_platform_tests.unit.lanes import compute, derive

SPEC = load_sources(["psycho_bunny"])["psycho_bunny"]

TRANSACTIONS = """\
ORDERNUMBER,QUANTITYORDERED,ORDERLINENUMBER,TOTAL_AMOUNT,ORDERDATE,QTR_ID,MONTH_ID,YEAR_ID,PRODUCTCODE,CUSTOMERNAME,\
PHONE,ADDRESSLINE1,ADDRESSLINE2,CITY,STATE,POSTALCODE,COUNTRY,TERRITORY,CONTACTLASTNAME,CONTACTFIRSTNAME,DEALSIZE
10107,30,2,-1993,2/24/2003 0:00,1,2,2021,S10_1678,Land of Toys Inc.,2125557818,897 Long Airport Avenue,,NYC,NY,10022,\
USA,NA,Yu,Kwai,Small
10121,34,5,92,5/7/2003 0:00,2,5,2021,S700_2,Reims Collectables,#ERROR!,59 rue de l'Abbaye,Cour 2,Reims,,51100,France,\
EMEA,Henriot,Paul,Small
10121,34,6,0,5/7/2003 0:00,2,5,2021,S700_2,Reims Collectables,#ERROR!,59 rue de l'Abbaye,Cour 2,Reims,,51100,France,\
EMEA,Henriot,Paul,Small
10134,0,1,-5,7/1/2003 0:00,3,7,2024,S10_1678,Land of Toys Inc.,2125557818,,,NYC,NY,10022,USA,NA,Yu,Kwai,Small
10135,1,1,N/A,7/1/2003 0:00,3,7,2024,S10_1678,Land of Toys Inc.,2125557818,,,NYC,NY,10022,USA,NA,Yu,Kwai,Small
"""
FILES = {"transactions/t-2023-08-21.csv": TRANSACTIONS}


def test_the_sign_says_what_is_a_refund_and_the_price_follows_from_the_amount():
    computed = compute(SPEC, "orders", FILES)
    names = ["order_id", "line_number", "order_date", "quantity", "unit_price", "total_amount", "status", "territory"]
    assert computed.silver.select(names).rows() == [
        ("10107", 2, date(2003, 2, 24), 30, Decimal("66.4333"), Decimal("-1993.00"), "Returned", "NA"),
        ("10121", 5, date(2003, 5, 7), 34, Decimal("2.7059"), Decimal("92.00"), "Completed", "EMEA"),
        ("10121", 6, date(2003, 5, 7), 34, Decimal("0.0000"), Decimal("0.00"), "Completed", "EMEA"),
    ]
    assert computed.reasons == [
        ["quantity_zero", "unit_price_unreadable"],
        ["unit_price_unreadable", "total_amount_unreadable"],
    ]


def test_buyers_are_read_off_the_transactions():
    found = derive(SPEC, "buyers", FILES)
    names = ["customer_id", "full_name", "first_name", "phone", "address", "state", "region", "occurrences"]
    assert found.sort("customer_id", "drop_date").select(names).rows() == [
        ("Land of Toys Inc.", "Land of Toys Inc.", "Kwai", "2125557818", "897 Long Airport Avenue", "NY", "NA", 1),
        ("Land of Toys Inc.", "Land of Toys Inc.", "Kwai", "2125557818", None, "NY", "NA", 2),
        ("Reims Collectables", "Reims Collectables", "Paul", None, "59 rue de l'Abbaye, Cour 2", None, "EMEA", 2),
    ]


def test_a_product_belongs_to_the_family_before_the_underscore():
    found = derive(SPEC, "products", FILES).select("product_id", "product_family").unique().sort("product_id")
    assert found.rows() == [("S10_1678", "S10"), ("S700_2", "S700")]


FIRST = '"first_name","last_name","company_name","address","city",'
LAST = '"phone1","phone2","email","web"\r'


def person(where: str, mail: str) -> str:
    return f'"Ann","Lee","Lee & Co","1 Elm St","Town",{where},"01","02","{mail}","http://x.org"\r'


def test_every_country_has_its_own_words_for_a_place():
    files = {
        "customers/c-2023-06-19.csv": FIRST + '"county","postal",' + LAST + person('"Kent","CT2 7PP"', "uk@x.org"),
        "customers/c-2023-09-01.csv": FIRST + '"province","postal",' + LAST + person('"ON","N8N 3N2"', "ca@x.org"),
        "customers/c-2024-06-14.csv": FIRST
        + '"county","state","zip",'
        + LAST
        + person('"Orleans","LA",0116', "us@x.org"),
        "customers/c-2024-07-01.csv": FIRST + '"state","post",' + LAST + person('"TAS",7315', "Au@X.org"),
    }
    computed = compute(SPEC, "customers", files)
    names = ["customer_id", "full_name", "state", "postal_code", "country", "drop_date"]
    assert computed.silver.select(names).rows() == [
        ("au@x.org", "Ann Lee", "TAS", "7315", "Australia", date(2024, 7, 1)),
        ("ca@x.org", "Ann Lee", "ON", "N8N 3N2", "Canada", date(2023, 9, 1)),
        ("uk@x.org", "Ann Lee", "Kent", "CT2 7PP", "UK", date(2023, 6, 19)),
        ("us@x.org", "Ann Lee", "LA", "0116", "USA", date(2024, 6, 14)),
    ]
    assert (computed.reasons, computed.superseded) == ([], 0)


def test_an_address_in_two_letter_cases_is_one_customer():
    rows = person('"Kent","CT2"', "Ann@X.org") + person('"Kent","CT3"', "ann@x.ORG ")
    computed = compute(SPEC, "customers", {"customers/c-2023-06-19.csv": FIRST + '"county","postal",' + LAST + rows})
    assert computed.silver.select("customer_id", "postal_code").rows() == [("ann@x.org", "CT3")]
    assert computed.superseded == 1


def test_a_day_of_the_calendar_must_be_one():
    header = "CALENDAR_DATE,FISCAL_YEAR,FISCAL_QUARTER,FISCAL_MONTH_NUMBER,FISCAL_WEEK_OF_YEAR,FISCAL_WEEK_OF_MONTH\n"
    days = "2010-01-31,2010,1,1,1,1\n2013-02-02,2012,4,12,53,5\n2013-02-30,2012,4,12,53,5\n2013-02-04,2013,5,,1,x\n"
    computed = compute(SPEC, "calendar", {"calendar/d-2024-05-04.csv": header + days})
    names = ["date", "fiscal_year", "fiscal_quarter", "fiscal_month", "fiscal_week", "fiscal_week_of_month"]
    assert computed.silver.select(names).rows() == [
        (date(2010, 1, 31), 2010, 1, 1, 1, 1),
        (date(2013, 2, 2), 2012, 4, 12, 53, 5),
    ]
    assert computed.reasons == [
        ["date_unreadable"],
        ["fiscal_quarter_out_of_range", "fiscal_month_out_of_range", "fiscal_week_of_month_out_of_range"],
    ]
