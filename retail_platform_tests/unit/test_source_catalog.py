"""Declarations: a mistake in a `defs.yaml` is told with file, line, and what is allowed."""

from pathlib import Path

import pytest
from dagster.components.testing import create_defs_folder_sandbox

from retail_platform.contracts.silver import ENTITIES
from retail_platform.source_catalog import DeclarationError, Words, load_sources, read_source
from retail_platform.source_spec import SourceSpec

GOOD = """\
type: retail_platform.components.source.RetailSource

attributes:
  currency: USD
  feeds:
    customers:
      kind: master
      columns: [id, name]
      key: [id]
    orders:
      kind: transactional
      columns: [number, day, customer]
      key: [number]
      date: {column: day}
  entities:
    orders:
      feed: orders
      lookups:
        who: {feed: customers, by: customer, take: [name]}
      columns:
        order_id: number
        region: {column: who.name}
      rules:
        status_unknown: warn
"""
WORDS = {
    name: Words(columns=contract.declarable, rules=[rule.name for rule in contract.rules])
    for name, contract in ENTITIES.items()
}

DRIVING = "feed: orders\n"
HEADER = "      header: {feed: orders, by: number, take: [day]}\n"
DATED = "kind: transactional\n      columns: [number, day, customer]\n      key: [number]\n      date: {column: day}\n"
UNDATED = "kind: undated\n      columns: [number, day, customer]\n      key: [number]\n"
HOOK = "      hook: {function: lane.repaired, adds: [extra]}\n"

MISTAKES: tuple[tuple[str, str, str, str], ...] = (
    # Unknown words, with those that are allowed.
    ("currency: USD", "currency: USD\n  colour: red", "5: colour", "description, timezone, currency, feeds, entities"),
    ("key: [id]", "keys: [id]", "9: feeds.customers.keys", "kind, columns, optional, key"),
    ("{column: day}", "{colum: day}", "14: feeds.orders.date.colum", "column, formats"),
    ("feed: customers, by", "fed: customers, by", "19: entities.orders.lookups.who.fed", "feed, by, take"),
    ("{column: who.name}", "{colum: who.name}", "22: entities.orders.columns.region.colum", "column, constant"),
    ("order_id: number", "orderid: number", "21: entities.orders.columns.orderid", "allowed are: order_id"),
    ("order_id: number", "created_at: day", "21: entities.orders.columns.created_at", "allowed are: order_id"),
    ("status_unknown:", "status_bad:", "24: entities.orders.rules.status_bad", "row_malformed, order_id_missing"),
    ("    orders:\n      feed", "    order:\n      feed", "16: entities.order", "customers, products, orders"),
    # Values that are not among those allowed.
    ("kind: master", "kind: mister", "7: feeds.customers.kind", "'transactional', 'master' or 'undated'"),
    ("status_unknown: warn", "status_unknown: warning", "24: entities.orders.rules.status_unknown", "'warn' or 'off'"),
    ("currency: USD", "currency: dollars", "4: currency", "^[A-Z]{3}$"),
    ("currency: USD", "currency: USD\n  timezone: Mars/Base", "5: timezone", "IANA name, for example Europe/London"),
    ("key: [id]", "key: [id]\n      encoding: utf-9", "10: feeds.customers.encoding", "for example utf-8"),
    ("key: [id]", "key: [id]\n      delimiter: '#'", "10: feeds.customers.delimiter", "',', ';'"),
    ("    customers:", "    Customers:", "6: feeds.Customers", "^[a-z][a-z0-9_]*$"),
    ("[id, name]", "[no, name]", "8: feeds.customers.columns.0", "text only in quotes"),
    ("{column: who.name}", "yes", "22: entities.orders.columns.region", "text only in quotes"),
    # Names of things that are not there.
    ("key: [id]", "key: [uid]", "9: feeds.customers.key", "'uid' is not known here; allowed are: id, name"),
    ("{column: day}", "{column: date}", "14: feeds.orders.date.column", "allowed are: number, day, customer"),
    ("feed: orders", "feed: order", "17: entities.orders.feed", "allowed are: customers, orders"),
    ("feed: customers,", "feed: orders,", "19: entities.orders.lookups.who.feed", "allowed are: customers"),
    ("by: customer,", "by: client,", "19: entities.orders.lookups.who.by", "allowed are: number, day, customer"),
    ("take: [name]", "take: [age]", "19: entities.orders.lookups.who.take", "allowed are: id, name"),
    ("who.name}", "who.age}", "22: entities.orders.columns.region", "allowed are: number, day, customer, who.name"),
    ("{column: who.name}", "_line_number", "22: entities.orders.columns.region", "allowed are: number, day"),
    # What is missing, or does not go together.
    ("  currency: USD\n", "", "3: currency", "Field required"),
    ("columns: [id, name]", "columns: []", "8: feeds.customers.columns", "at least 1 item"),
    ("      date: {column: day}\n", "", "10: feeds.orders", "needs `date: {column: ..., formats: [...]}`"),
    ("key: [number]", "key: [number]\n      delivery: snapshot", "10: feeds.orders", "are for master feeds"),
    ("key: [id]", "key: [id]\n      on_rewrite: append", "6: feeds.customers", "are not for master feeds"),
    ("{column: who.name}", "{column: day, constant: x}", "22: entities.orders.columns.region", "say either `column:`"),
    # Values put together.
    ("{column: who.name}", "{join: [number, nam]}", "22: entities.orders.columns.region", "allowed are: number, day"),
    ("{column: who.name}", "{first_of: [day, {column: x}]}", "22: entities.orders.columns.region", "'x' is not known"),
    ("{column: who.name}", "{join: [{colum: day}]}", "22: entities.orders.columns.region.join.0.colum", "column, con"),
    ("{column: who.name}", "{compute: number ** 2}", "22: entities.orders.columns.region.compute", "cannot be used"),
    ("{column: who.name}", "{compute: numbr / 2}", "22: entities.orders.columns.region", "'numbr' is not known here"),
    ("{column: who.name}", "{column: day, extract: x}", "22: entities.orders.columns.region", "needs one group"),
    ("{column: who.name}", "{column: day, decimal: ;}", "22: entities.orders.columns.region.decimal", "'.' or ','"),
    ("key: [id]", "key: [{column: uid, case: lower}]", "9: feeds.customers.key", "allowed are: id, name"),
    ("key: [id]", "key: [{compute: id + 1}]", "9: feeds.customers.key", "a key is text"),
    ("by: customer,", "by: {column: who},", "19: entities.orders.lookups.who.by", "allowed are: number, day, customer"),
    ("key: [id]", "key: [id]\n      latest_by: {column: at}", "10: feeds.customers.latest_by", "allowed are: id, name"),
    ("key: [number]", "key: [number]\n      latest_by: {column: day}", "10: feeds.orders", "are for master feeds"),
    # Tables beside those of the entity's name.
    ("feed: orders\n", "feed: orders\n      entity: payments\n", "18: entities.orders.entity", "allowed are: orders"),
    ("feed: orders\n", "feed: orders\n      derived: latest\n", "16: entities.orders", "allowed are: customers"),
    # Rows whose date is in another file.
    ("kind: transactional", "kind: undated", "10: feeds.orders", "an undated feed has no `date`"),
    (DATED, UNDATED, "16: entities.orders.feed", "say where its rows find their date (`header:`)"),
    (DRIVING, DRIVING + HEADER, "18: entities.orders.header", "only the rows of undated feeds have a header"),
    (DRIVING, DRIVING + "      key: [day]\n", "18: entities.orders.key", "is their feed's: say it there"),
    # Functions.
    (DRIVING, DRIVING + HOOK, "18: entities.orders.hook.function", "write the function repaired there"),
    (DRIVING, DRIVING + HOOK.replace("extra", "day"), "18: entities.orders.hook.adds", "day is there"),
    (DRIVING, DRIVING + HOOK.replace("lane.", ""), "18: entities.orders.hook.function", "match pattern"),
    ("RetailSource", "RetailSauce", "1", "expected `type: retail_platform.components.source.RetailSource`"),
    ("attributes:", "attributs:", "1", "valid dictionary"),
    ("[id, name]", "[id, name", "", "not YAML"),
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "shop" / "defs.yaml"
    file.parent.mkdir()
    file.write_text(GOOD, encoding="utf-8")
    return file


def test_a_source_is_named_after_its_folder(file: Path):
    assert load_sources(None, words=WORDS, folder=file.parents[1]) == {"shop": read_source(file, words=WORDS)}
    assert load_sources([], folder=file.parents[1]) == {}


@pytest.mark.parametrize(("right", "wrong", "where", "allowed"), MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_is_allowed(
    file: Path, right: str, wrong: str, where: str, allowed: str
):
    assert right in GOOD
    file.write_text(GOOD.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(DeclarationError) as raised:
        read_source(file, words=WORDS)
    told = [line for line in str(raised.value).splitlines() if line.startswith(f"{file}:{where}")]
    assert any(allowed in line for line in told), str(raised.value)


LINES = """\
    lines:
      kind: undated
      columns: [order, place, what]
      key: [order, place]
  entities:
    orders:
      feed: lines
      header: {feed: orders, by: order, take: [day, customer]}
      lookups:
        who: {feed: customers, by: header.customer, take: [name]}
      columns: {order_id: order, order_date: header.day, region: who.name}
"""
OTHER_HEADER = """\
    payments:
      feed: lines
      header: {feed: orders, by: place, take: [day]}
      columns: {order_id: order}
    orders:
      feed: lines"""
LINED = GOOD[: GOOD.index("  entities:")] + LINES
LINE_MISTAKES: tuple[tuple[str, str, str, str], ...] = (
    (
        "orders, by: order, take: [day, customer]}",
        "lines, by: order, take: [what]}",
        "header.feed",
        "allowed are: orders",
    ),
    ("by: order, take: [day, c", "by: number, take: [day, c", "header.by", "allowed are: order, place, what"),
    ("    orders:\n      feed: lines", OTHER_HEADER, "header", "say the same `feed` and `by` everywhere"),
    ("[day, customer]}", "[day, price]}", "header.take", "allowed are: number, day, customer"),
    ("by: header.customer", "by: header.number", "lookups.who.by", "allowed are: header.day, header.customer"),
    ("header.day", "header.number", "columns.order_date", "header.day, header.customer, who.name"),
    ("who: {", "header: {", "lookups", "'header' is not known here"),
)


def test_lines_find_their_date_in_a_header(file: Path):
    file.write_text(LINED, encoding="utf-8")
    spec = read_source(file, words=WORDS)
    assert (spec.lines_of("orders"), spec.lines_of("lines")) == (["lines"], [])
    assert {feed: list(spec.lookup_columns(feed)) for feed in spec.feeds} == {
        "customers": [],
        "orders": ["customers"],
        "lines": [],
    }


def test_several_columns_may_hold_keys_of_one_lookup(file: Path):
    other = "        whose: {feed: customers, by: day, take: [name]}\n      columns:\n        order_id"
    file.write_text(GOOD.replace("      columns:\n        order_id", other, 1), encoding="utf-8")
    spec = read_source(file, words=WORDS)
    assert {name: by.column for name, by in spec.lookup_columns("orders").items()} == {
        "customers": "customer",
        "customers#2": "day",
    }
    assert spec.feed_users("customers") == {"orders": ["customers", "customers#2"]}


@pytest.mark.parametrize(("right", "wrong", "where", "allowed"), LINE_MISTAKES)
def test_a_mistake_about_headers_is_told(file: Path, right: str, wrong: str, where: str, allowed: str):
    assert right in LINED
    file.write_text(LINED.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(DeclarationError) as raised:
        read_source(file, words=WORDS)
    assert f".{where}: " in str(raised.value)
    assert allowed in str(raised.value)


def test_all_mistakes_are_told_at_once(file: Path):
    file.write_text(GOOD.replace("USD", "dollars").replace("master", "mister"), encoding="utf-8")
    with pytest.raises(DeclarationError) as raised:
        read_source(file)
    assert [line.split(": ")[0] for line in str(raised.value).splitlines()] == [f"{file}:4", f"{file}:7"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def repaired(rows):\n    return rows\n", None),
        ("def repare(rows):\n    return rows\n", "has no function repaired; it has repare"),
        ("repaired = 1\n", "has no function repaired; it has none"),
        ("def repaired(rows)\n", "lane.py:1: not Python"),
        ("def repaired(rows):\n    import polars.io as io\n", "imports polars: a hook works on Narwhals frames alone"),
        ("from pandas import DataFrame\n\ndef repaired(rows): ...\n", "imports pandas"),
    ],
)
def test_a_function_beside_the_declaration_is_looked_at_and_not_run(file: Path, code: str, told: str | None):
    file.write_text(GOOD.replace(DRIVING, DRIVING + HOOK, 1), encoding="utf-8")
    file.with_name("lane.py").write_text(code, encoding="utf-8")
    if told is None:
        hook = read_source(file, words=WORDS).entities["orders"].hook
        assert hook is not None
        assert (hook.module, hook.name) == ("lane", "repaired")
        return
    with pytest.raises(DeclarationError, match=told) as raised:
        read_source(file, words=WORDS)
    assert str(raised.value).startswith(f"{file}:18: entities.orders.hook.function: ")


def test_a_source_that_is_not_declared_cannot_be_active(file: Path):
    with pytest.raises(DeclarationError, match="RETAIL_SOURCES names shap; declared are: shop"):
        load_sources(["shop", "shap"], folder=file.parents[1])


def test_sources_that_are_not_active_are_not_even_read(file: Path):
    other = file.parents[1] / "broken" / "defs.yaml"
    other.parent.mkdir()
    other.write_text("type: nonsense", encoding="utf-8")
    assert list(load_sources(["shop"], folder=file.parents[1])) == ["shop"]


def test_the_bundled_sources_are_declared_well():
    sources = load_sources(None, words=WORDS)
    assert {"erp_crm", "online_retail", "psycho_bunny", "storefront"} <= set(sources)
    assert all(isinstance(spec, SourceSpec) and spec.description for spec in sources.values())


def test_dagster_reports_a_mistake_too():
    with create_defs_folder_sandbox() as sandbox:
        file = sandbox.defs_folder_path / "shop" / "defs.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(GOOD.replace("kind: master", "kind: mister"), encoding="utf-8")
        with pytest.raises(Exception, match="shop") as raised, sandbox.build_all_defs():
            pass
    assert "Input should be 'transactional', 'master' or 'undated'" in "".join(map(str, _chain(raised.value)))


def _chain(error: BaseException | None) -> list[BaseException]:
    return [] if error is None else [error, *_chain(error.__cause__ or error.__context__)]
