"""Given sample files, then this guess; and whatever is guessed can be read as a declaration."""

from pathlib import Path

import polars as pl
import pytest
import yaml
from rich.console import Console

from retail_platform.commands.console import UserError
from retail_platform.commands.new_source import new_source
from retail_platform.contracts.silver import ENTITIES
from retail_platform.onboarding.declaring import declare
from retail_platform.onboarding.roles import MEMBER_COLUMNS, recognise
from retail_platform.onboarding.samples import ColumnLook, look_at, simple_name
from retail_platform.source_catalog import Words, read_source
from retail_platform.source_spec import SourceSpec

WORDS = {
    name: Words(columns=contract.declarable, rules=[rule.name for rule in contract.rules])
    for name, contract in ENTITIES.items()
}


def column(*values: str | None) -> ColumnLook:
    return ColumnLook(name="x", values=pl.Series("x", values, dtype=pl.String))


def guess(folder: Path, **files: str) -> SourceSpec:
    """What is guessed from files, checked against the contracts as the platform does."""
    paths = [folder / f"{name}.csv" for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    declared = folder / "defs.yaml"
    declared.write_text(declare("shop", recognise(look_at(paths))), encoding="utf-8")
    return read_source(declared, words=WORDS)


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (("2024-12-31", "2024-01-02"), ("%Y-%m-%d",)),
        (("31.12.2024", "1.2.2024"), ("%d.%m.%Y",)),
        (("20241231", "20240102"), ("%Y%m%d",)),
        (("2024-12-31T23:59:00Z",), ("%Y-%m-%dT%H:%M:%SZ",)),
        (("12/31/2024 0:00", "1/2/2024 13:05"), ("%m/%d/%Y %H:%M",)),
        (("31/12/2024", "01/02/2024"), ("%d/%m/%Y",)),
        (("2024-12-31", "2024-12-30", "31.12.2024"), ("%Y-%m-%d", "%d.%m.%Y")),
        (("1001", "1002"), ()),
        (("2024-12-31", "unknown"), ()),
        ((), ()),
    ],
)
def test_dates_are_known_by_how_they_are_written(values: tuple[str, ...], formats: tuple[str, ...]):
    assert column(*values).formats == formats


def test_day_and_month_that_could_be_either_are_told():
    assert column("01/02/2024", "11/12/2024").is_ambiguous_date
    assert not column("01/02/2024", "31/12/2024").is_ambiguous_date
    assert not column("01.02.2024").is_ambiguous_date


@pytest.mark.parametrize(
    ("values", "mark"),
    [
        (("1.234,50", "3"), ","),
        (("0,5",), ","),
        (("12.50", "3"), None),
        (("1,234.50", "3.10"), "."),
        (("1", "2"), None),
        (("a,b",), None),
    ],
)
def test_decimal_marks_are_declared_where_they_must_be(values: tuple[str, ...], mark: str | None):
    assert column(*values).mark == mark


def test_names_are_made_simple():
    names = ["Kunden-Nr", "CustomerID", "InvoiceNo", "Straße", "E-Mail", "ORDERDATE", "Größe (cm)"]
    simple = ["kunden_nr", "customer_id", "invoice_no", "strasse", "e_mail", "orderdate", "groesse_cm"]
    assert [simple_name(name) for name in names] == simple


def test_files_with_the_same_columns_are_one_feed(tmp_path: Path):
    text = "order_id,order_date,sku,qty,price\n{}\n"
    spec = guess(
        tmp_path,
        **{
            "sales-2024-01-01": text.format("1,2024-01-01,a,1,2.50"),
            "sales_20240102": text.format("2,2024-01-02,b,3,1"),
        },
    )
    assert list(spec.feeds) == ["sales"]
    assert spec.feeds["sales"].kind == "transactional"
    assert [part.column for part in spec.feeds["sales"].key] == ["order_id"]
    assert spec.feeds["sales"].rows_per_key == "one"


def test_lines_without_a_number_are_replaced_order_by_order(tmp_path: Path):
    spec = guess(
        tmp_path, sales="InvoiceNo,InvoiceDate,StockCode,Quantity,UnitPrice\n1,2024-01-01,a,1,2\n1,2024-01-01,a,1,2\n"
    )
    assert spec.feeds["sales"].rows_per_key == "many"
    assert spec.entities["orders"].columns["line_number"].column == "_line_number"
    assert spec.entities["products"].derived == "latest"


def test_lines_find_their_day_in_the_orders_and_their_price_in_the_products(tmp_path: Path):
    spec = guess(
        tmp_path,
        orders="id;customer;date;status\n1;7;31.12.2024;paid\n2;8;01.01.2025;on hold\n",
        order_lines="order_id;line;product_id;qty\n1;1;A;2\n1;2;B;1\n2;1;A;1\n",
        products="id;name;price\nA;Lamp;1.234,50\nB;Pen;0,35\n",
    )
    orders = spec.entities["orders"]
    assert spec.feeds["order_lines"].kind == "undated"
    assert orders.header is not None
    assert (orders.header.feed, list(orders.header.take)) == ("orders", ["date", "customer", "status"])
    assert orders.columns["unit_price"].column == "products.price"
    assert spec.feeds["products"].decimal == ","
    assert orders.columns["status"].map == {"paid": "Completed", "on hold": "on hold"}
    assert list(spec.entities) == ["products", "orders", "customers", "order_headers"]
    assert spec.entities["customers"].derived == "latest"


def test_spellings_of_a_key_are_made_equal(tmp_path: Path):
    spec = guess(
        tmp_path,
        customers="customer_id,email\n007,a@x.de\n018,b@x.de\n",
        orders="order_id,order_date,customer_id,sku,qty,price\n1,2024-01-01,7,a,1,2\n2,2024-01-01,18,a,1,2\n",
    )
    steps = {"^0+": ""}
    assert spec.feeds["customers"].key[0].replace == steps
    assert spec.entities["customers"].columns["customer_id"].replace == steps
    assert spec.entities["orders"].columns["customer_id"].replace == steps


def test_a_price_is_worked_out_from_the_amount(tmp_path: Path):
    spec = guess(tmp_path, sales="order_no,date,article,Line Qty,total amount\n1,2024-01-01,a,2,-5.00\n")
    orders = spec.entities["orders"]
    assert orders.columns["unit_price"].compute == "abs('total amount') / abs('Line Qty')"
    assert orders.rules == {"total_differs": "off"}


def test_what_nobody_can_guess_is_marked_and_still_a_declaration(tmp_path: Path):
    spec = guess(tmp_path, sales="order_id,product_id\n1,a\n2,b\n", weather="yes,on: off\n1,2\n")
    date = spec.feeds["sales"].date
    assert date is not None
    assert date.column == "order_id"
    assert spec.feeds["weather"].columns == ("yes", "on: off")
    assert spec.entities["orders"].columns["quantity"].constant == "1"
    text = (tmp_path / "defs.yaml").read_text(encoding="utf-8")
    for problem in (
        "no column holds dates",
        "no column holds quantities",
        "no column holds prices",
        "nothing uses them",
    ):
        assert f"CHECK: {problem}" in text or problem in text


def test_payments_are_of_the_day_of_their_order(tmp_path: Path):
    spec = guess(
        tmp_path,
        orders="order_id,order_date,sku,qty,price\n1,2024-01-01,a,1,2\n",
        payments="payment_id,order_id,payment_date,method,amount\n9,1,2024-01-02,card,2\n",
    )
    assert spec.feeds["payments"].kind == "transactional"
    columns = {name: how.column for name, how in spec.entities["payments"].columns.items()}
    assert columns == {
        "order_id": "order_id",
        "payment_number": "payment_id",
        "payment_date": "payment_date",
        "payment_method": "method",
        "amount": "amount",
    }


def test_layouts_of_one_name_are_one_feed(tmp_path: Path):
    spec = guess(
        tmp_path,
        customers_20240101="email,name,phone,county,postal\na@x.de,Ann,1,Kent,CT1\n",
        # An address that is delivered again is a new version of the same person.
        customers_20240201="email,name,phone,state,county,zip\n"
        "a@x.de,Ann,1,NY,Kings,11201\nb@x.de,Bob,2,CA,Napa,94558\n",
        sales="order_id,order_date,email,sku,qty,price\n1,2024-01-01,a@x.de,a,1,2\n",
    )
    people = spec.feeds["customers"]
    assert people.columns == ("email", "name", "phone", "county")
    assert people.optional == {"postal": None, "state": None, "zip": None}
    columns = spec.entities["customers"].columns
    assert columns["postal_code"].first_of is not None
    assert [part.column for part in columns["postal_code"].first_of] == ["postal", "zip"]
    assert "not unique" not in (tmp_path / "defs.yaml").read_text(encoding="utf-8")


CORNER = {
    "tickets": "Ticket,Till,Sold at,Client,Payment\n"
    "T-1,1,03/15/2026 09:12 AM,C-9,Cash\nT-2,2,03/15/2026 10:01 AM,,Card\nT-3,1,03/16/2026 04:45 PM,C-7,Card\n",
    "ticket_lines": 'Ticket,Line,SKU,Qty,Price,Amount\nT-1,1,A1,2,"$1,200.50","$2,401.00"\n'
    "T-1,2,B2,1,$3.99,$3.99\nT-2,1,B2,-1,$3.99,-$3.99\nT-3,1,A1,4,$0.25,$1.00\n",
    "clients": "Client,Name,Mail,Town,Joined\nC-7,Roe,jane@roe.example,Austin,01/05/2025\nC-9,Doe,,Reno,12/30/2024\n",
    "articles": "SKU,Article,Dept,Cost\nA1,Sofa,Living,700.00\nB2,Pin,Office,1.10\n",
}


def test_tickets_of_a_till_are_orders(tmp_path: Path):
    spec = guess(tmp_path, **CORNER)
    orders = {name: how.column for name, how in spec.entities["orders"].columns.items()}
    assert orders == {
        "order_id": "Ticket",
        "line_number": "Line",
        "order_date": "header.Sold at",
        "ordered_at": "header.Sold at",
        "customer_id": "header.Client",
        "product_id": "SKU",
        "quantity": "Qty",
        "unit_price": "Price",
        "total_amount": "Amount",
        "payment_method": "header.Payment",
    }
    assert (spec.feeds["ticket_lines"].kind, spec.feeds["ticket_lines"].decimal) == ("undated", ".")
    dated = spec.feeds["tickets"].date
    assert dated is not None
    assert dated.formats == ("%m/%d/%Y %I:%M %p",)
    assert list(spec.entities["customers"].columns) == ["customer_id", "full_name", "email", "city", "signup_date"]
    assert list(spec.entities["products"].columns) == ["product_id", "product_name", "category", "unit_cost"]


def test_keys_are_known_by_how_files_hang_together(tmp_path: Path):
    """Names that no dictionary has: what several files share, and names each row of one of them, is a key."""
    spec = guess(
        tmp_path,
        vorgaenge="Kuerzel,Wann,Wer\nV1,2026-03-01,K1\nV2,2026-03-02,K2\n",
        teile="Kuerzel,Laufend,Was,Menge,Preis\nV1,1,W1,2,3.50\nV1,2,W2,1,9.00\nV2,1,W1,1,3.50\n",
        leute="Wer,Vorname,Nachname\nK1,Ann,Lee\nK2,Bob,Ray\n",
        dinge="Was,Bezeichnung,Kategorie\nW1,Lampe,Haus\nW2,Tisch,Haus\n",
    )
    kinds = {name: feed.kind for name, feed in spec.feeds.items()}
    assert kinds == {"vorgaenge": "transactional", "teile": "undated", "leute": "master", "dinge": "master"}
    orders = spec.entities["orders"].columns
    found = {name: orders[name].column for name in ("order_id", "order_date", "customer_id", "product_id")}
    assert found == {
        "order_id": "Kuerzel",
        "order_date": "header.Wann",
        "customer_id": "header.Wer",
        "product_id": "Was",
    }
    assert (spec.entities["customers"].feed, spec.entities["products"].feed) == ("leute", "dinge")


def test_our_columns_are_the_contracts():
    for entity, names in MEMBER_COLUMNS.items():
        ours = {"list_price" if name == "unit_price" else name for name in names}
        assert ours <= set(ENTITIES[entity].declarable)


def test_mistakes_are_told(tmp_path: Path):
    sales = tmp_path / "sales.csv"
    sales.write_text("order_id,order_date,sku,qty,price\n1,2024-01-01,a,1,2\n", encoding="utf-8")
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    (tmp_path / "weather.csv").write_text("day,rain\n1,2\n", encoding="utf-8")
    console = Console(quiet=True)

    def run(name: str, *files: str) -> None:
        new_source(console, console, name, [tmp_path / file for file in files], folder=tmp_path, is_printed=False)

    run("mine", "sales.csv")
    assert yaml.safe_load((tmp_path / "mine" / "defs.yaml").read_text(encoding="utf-8"))["attributes"]["feeds"]
    for name, file, told in (
        ("mine", "sales.csv", "is there already"),
        ("My Shop", "sales.csv", "cannot be a source's name"),
        ("other", "gone.csv", "is no file"),
        ("other", "empty.csv", "the file is empty"),
        ("other", "weather.csv", "None of the files looks like"),
    ):
        with pytest.raises(UserError, match=told):
            run(name, file)
    assert not (tmp_path / "other").exists()
