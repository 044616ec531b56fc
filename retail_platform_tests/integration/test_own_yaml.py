"""A shop of one's own by YAML alone: semicolons, decimal commas, dates like 31.12.2024, prices in the product file."""

from pathlib import Path

import pytest

from retail_platform.contracts.silver import ENTITIES
from retail_platform.platform import Platform
from retail_platform.source_catalog import Words, read_source
from retail_platform_tests.shop import Shop

DECLARED = """\
type: retail_platform.components.source.RetailSource
attributes:
  description: A lamp shop in Hamburg.
  timezone: Europe/Berlin
  currency: EUR
  feeds:
    kunden:
      kind: master
      columns: [Nr, Vorname, Nachname, Mail, Ort, Geburtstag]
      key: [{column: Nr, replace: {"^0+": ""}}]
    artikel:
      kind: master
      columns: [Artikel-Nr, Bezeichnung, Gruppe, Preis EUR, Einkauf]
      key: [Artikel-Nr]
      decimal: ","
    auftraege:
      kind: transactional
      columns: [Auftrag, Datum, Kunde, Zustand]
      key: [{column: Auftrag, case: upper}]
      date: {column: Datum, formats: ["%d.%m.%Y"]}
    positionen:
      kind: undated
      columns: [Auftrag, Pos, Artikel, Menge, Nachlass]
      key: [{column: Auftrag, case: upper}, Pos]
      decimal: ","
  entities:
    customers:
      feed: kunden
      columns:
        customer_id: {column: Nr, replace: {"^0+": ""}}
        full_name: {join: [Vorname, Nachname]}
        email: {column: Mail, case: lower}
        postal_code: {column: Ort, extract: '^(\\d{5})'}
        city: {column: Ort, extract: '^\\d{5} (.+)$'}
        birth_date: {column: Geburtstag, formats: ["%d.%m.%Y"]}
        country: {constant: Germany}
    products:
      feed: artikel
      columns:
        product_id: Artikel-Nr
        product_name: Bezeichnung
        category: {column: Gruppe, extract: "^([^/]+)/"}
        subcategory: {column: Gruppe, extract: "/(.+)$"}
        list_price: Preis EUR
        unit_cost: Einkauf
    orders:
      feed: positionen
      header: {feed: auftraege, by: {column: Auftrag, case: upper}, take: [Datum, Kunde, Zustand]}
      lookups:
        liste: {feed: artikel, by: Artikel, take: [Preis EUR]}
      columns:
        order_id: {column: Auftrag, case: upper}
        line_number: Pos
        order_date: header.Datum
        customer_id: {column: header.Kunde, replace: {"^0+": ""}}
        product_id: Artikel
        quantity: Menge
        unit_price: {compute: "'liste.Preis EUR' / 1.19"} # without VAT
        discount_amount: {column: Nachlass, default: "0"}
        status: {column: header.Zustand, map: {bezahlt: Completed, storniert: Cancelled, offen: Open}}
"""

FILES = {
    "kunden/kunden-2024-12-30.csv": """\
Nr;Vorname;Nachname;Mail;Ort;Geburtstag
007;Änne;Groß;AENNE@x.de;20095 Hamburg;01.02.1980
8;;Klein;;Bremen;
""",
    "artikel/artikel-2024-12-30.csv": """\
Artikel-Nr;Bezeichnung;Gruppe;Preis EUR;Einkauf
L1;Lampe;Haus/Licht;1.234,50;800,00
S1;Stift;Büro/Schreiben;0,35;0,10
X1;Falsch;Haus/Rest;12.50;1,00
""",
    "auftraege/auftraege-2025-01-02.csv": """\
Auftrag;Datum;Kunde;Zustand
A-1;31.12.2024;7;bezahlt
A-2;01.01.2025;0008;storniert
""",
    "positionen/positionen-2025-01-02.csv": """\
Auftrag;Pos;Artikel;Menge;Nachlass
a-1;1;L1;2;0,50
A-1;2;S1;1.200;
A-2;1;L1;1;1,234,5
A-2;2;X1;1;
A-9;1;L1;1;
""",
}


@pytest.fixture
def own(shop: Shop, tmp_path: Path) -> Shop:
    """A platform with the shop's declaration in the place of a bundled one, which has loaded the shop's files."""
    file = tmp_path / "storefront" / "defs.yaml"
    file.parent.mkdir()
    file.write_text(DECLARED, encoding="utf-8")
    words = {
        name: Words(columns=contract.declarable, rules=[rule.name for rule in contract.rules])
        for name, contract in ENTITIES.items()
    }
    shop.platform = Platform(settings=shop.settings, sources={"storefront": read_source(file, words=words)})
    for path, text in FILES.items():
        shop.deliver(f"storefront/{path}", text.replace("\n", "\r\n"))
    assert not shop.load().errors
    return shop


def test_lines_find_their_date_customer_and_price(own: Shop) -> None:
    """Numbers and dates are read as they are written there; the books balance."""
    sql = """
        SELECT order_id, line_number, order_date::VARCHAR, customer_id, product_id, quantity, unit_price::VARCHAR,
            discount_amount::VARCHAR, total_amount::VARCHAR, status
        FROM gold.fact_sales ORDER BY ALL
    """
    assert own.rows(sql) == [
        ("A-1", 1, "2024-12-31", "7", "L1", 2, "1037.3950", "0.50", "2074.29", "Completed"),
        ("A-1", 2, "2024-12-31", "7", "S1", 1200, "0.2941", "0.00", "352.92", "Completed"),
    ]
    reasons = "SELECT raw->>'Auftrag', raw->>'Pos', reasons FROM silver.storefront_orders_quarantine ORDER BY ALL"
    assert own.rows(reasons) == [
        ("A-2", "1", ["discount_amount_unreadable"]),
        ("A-2", "2", ["unit_price_unreadable"]),
        ("A-9", "1", ["header_missing"]),
    ]
    assert set(own.checks("books_balance").values()) == {True}


def test_members_are_split_joined_and_mapped(own: Shop) -> None:
    """One column becomes two, two become one; a price that is written otherwise is no price."""
    people = """
        SELECT customer_id, full_name, email, postal_code, city, birth_date::VARCHAR, country
        FROM silver.storefront_customers ORDER BY 1
    """
    assert own.rows(people) == [
        ("7", "Änne Groß", "aenne@x.de", "20095", "Hamburg", "1980-02-01", "Germany"),
        ("8", "Klein", None, None, None, None, "Germany"),
    ]
    things = """
        SELECT product_id, category, subcategory, list_price::VARCHAR, unit_cost::VARCHAR
        FROM silver.storefront_products ORDER BY 1
    """
    assert own.rows(things) == [
        ("L1", "Haus", "Licht", "1234.5000", "800.0000"),
        ("S1", "Büro", "Schreiben", "0.3500", "0.1000"),
    ]
    assert own.rows("SELECT reasons FROM silver.storefront_products_quarantine") == [(["list_price_unreadable"],)]
    assert own.rows("SELECT count(*) FROM gold.dim_customer_current WHERE is_inferred") == [(0,)]
