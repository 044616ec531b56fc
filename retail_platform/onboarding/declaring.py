"""The guessed declaration as the text of a `defs.yaml`, with what was guessed, how surely, and what to look at."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence

import yaml

from retail_platform.onboarding.roles import MEMBER_COLUMNS, Feed, Shop
from retail_platform.onboarding.samples import ColumnLook, simple_name
from retail_platform.onboarding.words import DATES, our_status
from retail_platform.source_spec import LINE_NUMBER, SourceSpec

CHECK = "# CHECK"
"""Begins each remark on what only the shop itself can know."""

_COMPONENT = "retail_platform.components.source.RetailSource"
_PLAIN = re.compile(r"[^\W\d]([\w /.-]*\w)?")
_NOT_TEXT = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})
_CODES = "EUR|USD|GBP|CHF|BRL|SEK|NOK|DKK|PLN|CZK|CAD|AUD|JPY|INR|MXN"
_CURRENCY = re.compile(rf"(?<![A-Za-z])({_CODES})(?![A-Za-z])", re.IGNORECASE)
_SIGNS = {"€": "EUR", "$": "USD", "£": "GBP"}
_MOST_STATUSES = 30
_WIDTH = 110
_LINE_COLUMNS = ("discount_amount", "freight_amount", "total_amount")
_HEADER_COLUMNS = ("payment_method", "region", "territory", "deal_size", "ship_date", "due_date")


def declare(name: str, shop: Shop) -> str:
    """The text of a `defs.yaml` that can be read as it is, and loads what was guessed rightly."""
    lines = [*_opening(name, shop), "  feeds:"]
    for feed in shop.feeds:
        lines += _feed(shop, feed)
    entities = [line for section in _entities(shop) for line in section]
    text = "\n".join([*lines, "", "  entities:", *entities]) + "\n"
    SourceSpec.model_validate(yaml.safe_load(text)["attributes"])
    return text


def _opening(name: str, shop: Shop) -> list[str]:
    currency, why = _currency(shop)
    return [
        "# Guessed by `retail new-source` from sample files. Lines with CHECK need somebody who knows the shop; the",
        "# rest follows from the files. What the words mean: docs/declarations.md",
        f"type: {_COMPONENT}",
        "attributes:",
        f"  description: {quoted(name.replace('_', ' ').capitalize())} {CHECK}: say in a sentence what this shop is",
        f"  timezone: UTC {CHECK}: of times in its rows, for example Europe/Berlin",
        f"  currency: {currency} {CHECK}: {why}",
        "",
    ]


def _currency(shop: Shop) -> tuple[str, str]:
    names = [name for feed in shop.feeds for name in feed.sample.columns]
    for name in names:
        sign = next((code for sign, code in _SIGNS.items() if sign in name), None)
        if found := _CURRENCY.search(name) or sign:
            return (found if isinstance(found, str) else found[0].upper()), f"from the column {name!r}"
    is_european = any(feed.sample.mark == "," for feed in shop.feeds)
    return ("EUR", "only because decimals have commas") if is_european else ("USD", "nothing in the files says it")


def _feed(shop: Shop, feed: Feed) -> Iterator[str]:
    sample, header = feed.sample, shop.header_of(feed)
    yield f"    {feed.name}: # {_files(feed)}; {sample.rows:,} rows; {sample.dialect}"
    yield from (f"      {CHECK}: {note}" for note in sample.notes)
    yield from _kind(feed, header)
    optional = [name for name, look in sample.columns.items() if look.is_optional]
    yield from _listed("      columns: ", [name for name in sample.columns if name not in optional])
    if optional:
        listed = ", ".join(f"{quoted(name)}: null" for name in optional)
        yield f"      optional: {{{listed}}} # some files have none"
    wrong = "" if feed.is_keyed else f" {CHECK}: not unique, or missing in some rows: which columns name a row?"
    yield f"      key: [{', '.join(_key_value(shop, feed, name) for name in feed.key)}]{wrong}"
    if feed.is_many:
        yield f"      {CHECK}: nothing numbers the lines of an order, so a later file replaces all lines of its orders"
        yield "      rows_per_key: many"
    if date := _date_of(feed, header):
        yield from _dated(feed, date)
    if sample.mark:
        yield f'      decimal: "{sample.mark}" # as in {_example(feed)}'


def _files(feed: Feed) -> str:
    names = [path.name for path in feed.sample.files]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _kind(feed: Feed, header: Feed | None) -> Iterator[str]:
    if header is not None:
        yield f"      kind: undated # a row is of the day of its order, in {header.name}"
    elif feed.role in {"lines", "headers", "payments"}:
        yield "      kind: transactional"
    elif feed.role == "other":
        yield f"      {CHECK}: it is not clear what these rows are, and nothing uses them yet"
        yield "      kind: master"
    else:
        yield "      kind: master"


def _date_of(feed: Feed, header: Feed | None) -> str | None:
    if feed.role not in {"lines", "headers", "payments"} or header is not None:
        return None
    return feed.date or next(iter(feed.sample.columns))


def _dated(feed: Feed, name: str) -> Iterator[str]:
    column = feed.sample.columns[name]
    if feed.date is None:
        yield f"      {CHECK}: no column holds dates; name the one that does, or give the file with the orders, too"
        yield f'      date: {{column: {quoted(name)}, formats: ["%Y-%m-%d"]}}'
        return
    if column.is_ambiguous_date:
        yield f"      {CHECK}: is {column.distinct[0]} written with the day or the month first? (%d is the day)"
    others = [other for other, look in feed.sample.columns.items() if look.formats and other != name]
    if others and "date" not in feed.sure:
        yield f"      {CHECK}: is this the day of the sale? There is also {', '.join(others[:3])}"
    yield f"      date: {{column: {quoted(name)}, formats: {_formats(column)}}}"


def _example(feed: Feed) -> str:
    column = next(look for look in feed.sample.columns.values() if look.mark == feed.sample.mark)
    return next(value for value in column.distinct if feed.sample.mark and feed.sample.mark in value)


def _entities(shop: Shop) -> Iterator[list[str]]:
    customers, products, lines = shop.of("customers"), shop.of("products"), shop.of("lines")
    if customers:
        yield list(_member(shop, customers, "customers"))
    if products:
        yield list(_member(shop, products, "products"))
    if lines:
        yield list(_orders(shop, lines))
        if not customers:
            yield list(_derived(shop, lines, "customers"))
        if not products:
            yield list(_derived(shop, lines, "products"))
    header = shop.header_of(lines) if lines else None
    if header:
        yield list(_order_headers(shop, header))
    payments = shop.of("payments")
    if payments:
        yield list(_payments(shop, payments))


def _member(shop: Shop, feed: Feed, entity: str) -> Iterator[str]:
    yield f"    {entity}:"
    yield f"      feed: {feed.name}"
    yield "      columns:"
    yield from _member_columns(shop, feed, entity)
    yield from _unused(feed, used=[feed.columns[name] for name in MEMBER_COLUMNS[entity] if name in feed.columns])


def _member_columns(shop: Shop, feed: Feed, entity: str, *, but: Sequence[str] = ()) -> Iterator[str]:
    for meaning in MEMBER_COLUMNS[entity]:
        if meaning not in feed.columns or meaning in but:
            continue
        ours = "list_price" if meaning == "unit_price" else meaning
        yield _column(ours, _value(shop, feed, meaning), feed, meaning)
    if {"first_name", "last_name"} <= feed.columns.keys() and "full_name" not in feed.columns and entity == "customers":
        names = f"{quoted(feed.columns['first_name'])}, {quoted(feed.columns['last_name'])}"
        yield f"        full_name: {{join: [{names}]}}"


def _derived(shop: Shop, lines: Feed, entity: str) -> Iterator[str]:
    """Members read off the orders, as the source has no file of them."""
    meaning = "customer_id" if entity == "customers" else "product_id"
    header = shop.header_of(lines)
    feed = header if header and meaning not in lines.columns else lines
    if meaning not in feed.columns:
        return
    yield f"    {entity}: # there is no file of them, so they are read off {feed.name}"
    yield f"      feed: {feed.name}"
    if header and feed is lines:
        yield from _header(shop, lines, header, ["order_id"])
    yield "      derived: latest"
    yield "      columns:"
    but = ("unit_price", "unit_cost") if entity == "products" else ()
    yield from _member_columns(shop, feed, entity, but=but)


def _orders(shop: Shop, lines: Feed) -> Iterator[str]:
    header = shop.header_of(lines)
    of_header = [] if header is None else [name for name in _taken(header) if name not in lines.columns]
    prices = _price_list(shop, lines)
    yield "    orders:"
    yield f"      feed: {lines.name}"
    if header:
        yield from _header(shop, lines, header, of_header)
    if prices:
        by, take = _key_value(shop, lines, lines.columns["product_id"]), quoted(prices.columns["unit_price"])
        yield "      lookups:"
        yield f"        {prices.name}: {{feed: {prices.name}, by: {by}, take: [{take}]}}"
    yield "      columns:"
    yield _column("order_id", _value(shop, lines, "order_id"), lines, "order_id")
    yield f"        line_number: {_line_number(lines)}"
    yield from _dates(lines, header)
    for meaning in ("customer_id", "product_id"):
        yield from _from_either(shop, lines, header, meaning)
    yield from _quantity(lines)
    yield from _price(lines, prices)
    for meaning in _LINE_COLUMNS:
        if meaning in lines.columns and not (meaning == "total_amount" and "unit_price" not in lines.columns):
            yield _column(meaning, _value(shop, lines, meaning), lines, meaning)
    if "unit_price" not in lines.columns and prices is None and "total_amount" in lines.columns:
        yield _column("total_amount", quoted(lines.columns["total_amount"]), lines, "total_amount")
    yield from _status(lines, header)
    for meaning in _HEADER_COLUMNS:
        yield from _from_either(shop, lines, header, meaning)
    if "unit_price" not in lines.columns and prices is None and "total_amount" in lines.columns:
        yield "      rules:"
        yield '        total_differs: "off" # the price is worked out from the amount'


def _header(shop: Shop, feed: Feed, header: Feed, meanings: Iterable[str]) -> Iterator[str]:
    names = [header.columns[meaning] for meaning in meanings] or [header.columns["order_id"]]
    yield "      header:"
    yield f"        feed: {header.name}"
    yield f"        by: {_key_value(shop, feed, feed.columns['order_id'])}"
    yield f"        take: [{', '.join(map(quoted, names))}]"


def _taken(header: Feed) -> list[str]:
    wanted = ("date", "customer_id", "status", *_HEADER_COLUMNS)
    return [meaning for meaning in wanted if meaning in header.columns]


def _price_list(shop: Shop, lines: Feed) -> Feed | None:
    """The products' feed, where the lines themselves have no price."""
    products = shop.of("products")
    can_be_worked_out = {"total_amount", "quantity"} <= lines.columns.keys()
    if "unit_price" in lines.columns or can_be_worked_out or "product_id" not in lines.columns:
        return None
    return products if products and "unit_price" in products.columns else None


def _line_number(lines: Feed) -> str:
    if lines.is_many:
        return f"{LINE_NUMBER} # its place in the file"
    if lines.columns.get("line_number") in lines.key:
        return quoted(lines.columns["line_number"])
    return '{constant: "1"} # each order has one line'


def _dates(lines: Feed, header: Feed | None) -> Iterator[str]:
    dated = header or lines
    name = _date_of(dated, None) or ""
    full = quoted(f"header.{name}" if header else name)
    yield f"        order_date: {full}"
    if any("%H" in how or "%I" in how for how in dated.sample.columns[name].formats):
        yield f"        ordered_at: {full}"


def _from_either(shop: Shop, lines: Feed, header: Feed | None, meaning: str) -> Iterator[str]:
    if meaning in lines.columns:
        yield _column(meaning, _value(shop, lines, meaning), lines, meaning)
    elif header and meaning in header.columns:
        yield _column(meaning, _value(shop, header, meaning, prefix="header."), header, meaning)


def _quantity(lines: Feed) -> Iterator[str]:
    if "quantity" in lines.columns:
        yield _column("quantity", quoted(lines.columns["quantity"]), lines, "quantity")
    else:
        yield f'        quantity: {{constant: "1"}} {CHECK}: no column holds quantities'


def _price(lines: Feed, prices: Feed | None) -> Iterator[str]:
    columns = lines.columns
    if "unit_price" in columns:
        yield _column("unit_price", quoted(columns["unit_price"]), lines, "unit_price")
    elif prices:
        price = quoted(f"{prices.name}.{prices.columns['unit_price']}")
        yield f"        unit_price: {price} {CHECK}: lines have no price, so it is the product's, as valid on the day"
    elif "total_amount" in columns:
        total = columns["total_amount"]
        price = f"abs({_operand(total)})" + (
            f" / abs({_operand(columns['quantity'])})" if "quantity" in columns else ""
        )
        yield f"        unit_price: {{compute: {json.dumps(price, ensure_ascii=False)}}}"
    else:
        yield f'        unit_price: {{constant: "0"}} {CHECK}: no column holds prices, so nothing is worth anything yet'


def _operand(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else "'" + name.replace("'", "\\'") + "'"


def _status(lines: Feed, header: Feed | None) -> Iterator[str]:
    feed = lines if "status" in lines.columns else header
    if feed is None or "status" not in feed.columns:
        return
    name = feed.columns["status"]
    values = feed.sample.columns[name].distinct
    full = quoted(f"header.{name}" if feed is header else name)
    if len(values) > _MOST_STATUSES:
        yield f"        # {full} has {len(values)} values, so it is no status: every order counts as Completed"
        return
    yield f"        status: {CHECK}: ours are Completed, Cancelled, Returned and Open; rows with others are set aside"
    yield f"          column: {full}"
    yield "          map:"
    for value in values:
        ours = our_status(value)
        yield f"            {quoted(value)}: {ours or quoted(value)}" + ("" if ours else f" {CHECK}: which is it?")


def _order_headers(shop: Shop, header: Feed) -> Iterator[str]:
    yield "    order_headers: # every order, also those without lines"
    yield f"      feed: {header.name}"
    yield "      columns:"
    yield _column("order_id", _value(shop, header, "order_id"), header, "order_id")
    yield from _dates(header, None)
    yield from _from_either(shop, header, None, "customer_id")
    yield from _status(header, None)
    for meaning in _HEADER_COLUMNS:
        yield from _from_either(shop, header, None, meaning)
    yield from _unused(
        header, used=[header.columns[name] for name in ("order_id", *_taken(header)) if name in header.columns]
    )


def _payments(shop: Shop, payments: Feed) -> Iterator[str]:
    header, columns = shop.header_of(payments), payments.columns
    yield "    payments:"
    yield f"      feed: {payments.name}"
    if header:
        yield from _header(shop, payments, header, ["date"])
    yield "      columns:"
    yield _column("order_id", _value(shop, payments, "order_id"), payments, "order_id")
    number = (
        quoted(columns["payment_number"]) if "payment_number" in columns else '{constant: "1"} # one for each order'
    )
    yield f"        payment_number: {number}"
    date = f"header.{header.columns['date']}" if header else _date_of(payments, None) or ""
    yield f"        payment_date: {quoted(date)}"
    for meaning in ("payment_method", "installments", "status"):
        if meaning in columns:
            yield _column(meaning, _value(shop, payments, meaning), payments, meaning)
    if "total_amount" in columns:
        yield _column("amount", quoted(columns["total_amount"]), payments, "total_amount")
    else:
        yield f'        amount: {{constant: "0"}} {CHECK}: no column holds amounts'


def _column(ours: str, value: str, feed: Feed, meaning: str) -> str:
    doubt = "" if meaning in feed.sure else f" {CHECK}: guessed from the name alone"
    if meaning == "discount_amount":
        doubt = f" {CHECK}: it must be an amount, off the whole line; is it one, or a percentage?"
    return f"        {ours}: {value}{doubt}"


def _value(shop: Shop, feed: Feed, meaning: str, *, prefix: str = "") -> str:
    name = feed.columns[meaning]
    full = quoted(prefix + name)
    if meaning in shop.spellings:
        return _spelt(shop, meaning, full)
    if meaning == "email":
        return f"{{column: {full}, case: lower}}"
    if meaning in feed.others:
        # That of the plainest name first: where a file has a county and a state, the state is meant.
        names = sorted([name, *feed.others[meaning]], key=lambda one: simple_name(one) != meaning)
        return f"{{first_of: [{', '.join(quoted(prefix + one) for one in names)}]}}"
    if meaning in DATES and name != feed.date:
        return f"{{column: {full}, formats: {_formats(feed.sample.columns[name])}}}"
    return full


def _key_value(shop: Shop, feed: Feed, name: str) -> str:
    meaning = next((meaning for meaning, column in feed.columns.items() if column == name), "")
    return _spelt(shop, meaning, quoted(name)) if meaning in shop.spellings else quoted(name)


def _spelt(shop: Shop, meaning: str, column: str) -> str:
    steps = {"without zeros": 'replace: {"^0+": ""}', "upper case": "case: upper"}
    how = shop.spellings[meaning]
    return f"{{column: {column}, {steps[how]}}}" if how in steps else column


def _unused(feed: Feed, *, used: Sequence[str]) -> Iterator[str]:
    instead = {name for meaning, names in feed.others.items() if feed.columns[meaning] in used for name in names}
    left = [name for name in feed.sample.columns if name not in used and name not in instead]
    if left:
        yield f"      # not used: {', '.join(left)}"


def _formats(column: ColumnLook) -> str:
    return f"[{', '.join(json.dumps(how) for how in column.formats)}]"


def _listed(start: str, names: Iterable[str]) -> Iterator[str]:
    texts = [quoted(name) for name in names]
    line = f"{start}[{', '.join(texts)}]"
    if len(line) <= _WIDTH:
        yield line
        return
    yield start.rstrip()
    yield from (f"        - {text}" for text in texts)


def quoted(text: str) -> str:
    """A text as YAML, in quotes where it needs them."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    return json.dumps(text, ensure_ascii=False)
