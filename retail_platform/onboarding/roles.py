"""What each of the sample feeds is in a shop, and how they hang together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from retail_platform.onboarding.links import linked
from retail_platform.onboarding.samples import Sample
from retail_platform.onboarding.words import Meaning, is_bare_id, thing_named

Role = Literal["customers", "products", "lines", "headers", "payments", "other"]
Spelling = Literal["as it is", "without zeros", "upper case"]

_PLACE = ("address", "city", "state", "postal_code", "country", "region")
_ORDER = ("order_id", "customer_id", "date", "status", "payment_method", "territory", "deal_size")
_ORDER_DATES = ("ship_date", "due_date")
MEMBER_COLUMNS: Mapping[str, Sequence[str]] = {
    "customers": (
        *("customer_id", "first_name", "last_name", "full_name", "email", "phone", "company", "gender"),
        *("marital_status", "birth_date", *_PLACE, "signup_date"),
    ),
    "products": (
        *("product_id", "product_name", "category", "subcategory", "product_line", "unit_cost", "unit_price"),
    ),
}
_MEANINGS: Mapping[Role, Sequence[str]] = {
    "customers": MEMBER_COLUMNS["customers"],
    "products": MEMBER_COLUMNS["products"],
    "headers": (*_ORDER, *_ORDER_DATES, "total_amount", "region"),
    "lines": (
        *(*_ORDER, *_ORDER_DATES, "line_number", "quantity", "discount_amount", "freight_amount", "total_amount"),
        *MEMBER_COLUMNS["customers"],
        *MEMBER_COLUMNS["products"],
    ),
    "payments": ("order_id", "payment_number", "date", "payment_method", "installments", "total_amount", "status"),
}
_THING_OF_ROLE = {"customer": "customer_id", "product": "product_id", "order": "order_id", "payment": "payment_number"}
_HOMES: Mapping[str, Role] = {"customer_id": "customers", "product_id": "products", "order_id": "headers"}
_ENOUGH = 0.9


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A sample, and what it is taken for.

    Attributes:
        sample: The files.
        role: What its rows are.
        columns: Its columns by what they mean.
        others: By meaning, the columns that some of the files have instead.
        sure: The meanings whose column has a telling name.
        key: The columns that name a row.
        is_many: The key names several rows of a file.
        is_keyed: Whether the key is really one in the samples.
    """

    sample: Sample
    role: Role
    columns: Mapping[str, str]
    others: Mapping[str, Sequence[str]]
    sure: frozenset[str]
    key: tuple[str, ...]
    is_many: bool
    is_keyed: bool

    @property
    def name(self) -> str:
        """The feed's name."""
        return self.sample.name

    @property
    def date(self) -> str | None:
        """The column of its business date."""
        return self.columns.get("date") if self.role in {"lines", "headers", "payments"} else None


@dataclass(frozen=True, kw_only=True)
class Shop:
    """The feeds of a source by their role, and how their keys are spelt.

    Attributes:
        feeds: All of them, in the order given.
        spellings: By meaning (`customer_id`), what makes the spellings of its feeds equal.
    """

    feeds: tuple[Feed, ...]
    spellings: Mapping[str, Spelling]

    def of(self, role: Role) -> Feed | None:
        """The feed with a role."""
        return next((feed for feed in self.feeds if feed.role == role), None)

    def header_of(self, feed: Feed) -> Feed | None:
        """Where an undated feed's rows find their date: the feed that names the most of its orders."""
        if feed.date or "order_id" not in feed.columns:
            return None
        dated = [other for other in self.feeds if other.role == "headers" and other.date]
        return max(
            dated,
            key=lambda header: (header.is_keyed, _met(feed, header, "order_id", self.spellings), len(header.columns)),
            default=None,
        )


def recognise(samples: Sequence[Sample]) -> Shop:
    """Say what each feed is; a second one for the same role is left aside, as `other`."""
    links = linked(samples)
    judged = [(sample, *_role(sample, links[sample.name])) for sample in samples]
    has_headers = any(role == "headers" for _, role, _ in judged)
    for _, role, meaning in judged:
        if has_headers and role in {"lines", "payments"} and "date" in meaning.weak:
            # Such as a shipping limit: the day of the order is what its header says.
            del meaning.found["date"]
    feeds = [_feed(sample, role, meaning) for sample, role, meaning in judged]
    kept = [_only_largest(feed, feeds) for feed in feeds]
    if not any(feed.role == "lines" for feed in kept):
        # Orders without lines are lines themselves: one each.
        kept = [
            _feed(feed.sample, "lines", _meaning(feed.sample, "lines", links[feed.name])) if _is_header(feed) else feed
            for feed in kept
        ]
    spellings = {name: _spelling(kept, name) for name in _HOMES}
    return Shop(feeds=tuple(kept), spellings=spellings)


def spelt(value: str, spelling: Spelling) -> str:
    """A key's value as it is compared."""
    if spelling == "without zeros":
        return value.lstrip("0")
    return value.upper() if spelling == "upper case" else value


def _is_header(feed: Feed) -> bool:
    return feed.role == "headers"


def _role(sample: Sample, links: Mapping[str, str]) -> tuple[Role, Meaning]:
    named, every = thing_named(sample.name), _resolved(sample, Meaning(sample.columns), links)
    has = every.has
    role: Role = "other"
    if has("order_id") and not has("product_id") and (named == "payment" or has("payment_number")):
        role = "payments"
    elif has("order_id") and (has("product_id") or has("quantity")):
        role = "lines"
    elif has("order_id", "date"):
        role = "headers"
    elif has("product_id") and named != "customer":
        role = "products"
    elif has("customer_id") or (named == "customer" and has("email")):
        role = "customers"
    meaning = every if role == "other" else _meaning(sample, role, links)
    if role == "customers":
        # Who has no number is known by the e-mail address.
        meaning.found.setdefault("customer_id", meaning.found.get("email", ""))
    return role, meaning


def _meaning(sample: Sample, role: Role, links: Mapping[str, str]) -> Meaning:
    among = _MEANINGS[role]
    of_role = {meaning: column for meaning, column in links.items() if meaning in among}
    return _resolved(sample, Meaning(sample.columns, among=among), of_role)


def _resolved(sample: Sample, meaning: Meaning, links: Mapping[str, str]) -> Meaning:
    """A column that is called just `id` is that of the thing which the feed is named after; links tell of others."""
    for known, column in links.items():
        meaning.learn(known, column)
    wanted = _THING_OF_ROLE.get(thing_named(sample.name) or "")
    bare = next((name for name in sample.columns if is_bare_id(name)), None)
    if wanted and bare and wanted not in meaning.found and bare not in meaning.found.values():
        meaning.found[wanted] = bare
    return meaning


def _feed(sample: Sample, role: Role, meaning: Meaning) -> Feed:
    key, is_many = _key(sample, role, meaning.found)
    return Feed(
        sample=sample,
        role=role,
        columns=meaning.found,
        others=meaning.others,
        sure=frozenset(meaning.sure),
        key=key,
        is_many=is_many,
        is_keyed=is_many or sample.is_key(key),
    )


def _key(sample: Sample, role: Role, columns: Mapping[str, str]) -> tuple[tuple[str, ...], bool]:
    """The columns that name a row, and whether they name several."""
    if role in {"customers", "products"}:
        return (columns["customer_id" if role == "customers" else "product_id"],), False
    if role in {"headers", "payments"}:
        own = columns.get("payment_number")
        whole = (columns["order_id"], own) if own else (columns["order_id"],)
        alone = (own,) if own and sample.is_key([own]) else whole
        return (alone, False) if role == "payments" else ((columns["order_id"],), False)
    if role == "lines":
        number = (columns["order_id"], columns["line_number"]) if "line_number" in columns else None
        if number and sample.is_key(number):
            return number, False
        alone = (columns["order_id"],)
        return alone, not sample.is_key(alone)
    unique = [name for name, column in sample.columns.items() if column.is_unique]
    named = [name for name in unique if is_bare_id(name) or is_bare_id(name.replace("_", " ").split()[-1])]
    return ((named or unique or list(sample.columns))[0],), False


def _only_largest(feed: Feed, feeds: Sequence[Feed]) -> Feed:
    rivals = [other for other in feeds if other.role == feed.role and other.role != "headers"]
    if feed.role == "other" or len(rivals) < 2 or feed is max(rivals, key=lambda rival: rival.sample.rows):  # noqa: PLR2004
        return feed
    return _feed(feed.sample, "other", Meaning(feed.sample.columns))


def _spelling(feeds: Sequence[Feed], meaning: str) -> Spelling:
    """What has to be done to a key so that feeds meet, where they do not as they are written."""
    home = _HOMES[meaning]
    member = next((feed for feed in feeds if feed.role == home), None)
    others = [feed for feed in feeds if feed is not member and meaning in feed.columns and feed.role != "other"]
    if member is None or not others:
        return "as it is"
    hows: tuple[Spelling, ...] = ("as it is", "without zeros", "upper case")
    met = {how: min(_met(feed, member, meaning, {meaning: how}) for feed in others) for how in hows}
    best = max(hows, key=lambda how: met[how])
    return best if met["as it is"] < _ENOUGH and met[best] > met["as it is"] else "as it is"


def _met(feed: Feed, home: Feed, meaning: str, spellings: Mapping[str, Spelling]) -> float:
    """The share of a feed's keys that another feed holds."""
    how = spellings.get(meaning, "as it is")
    held = {spelt(value, how) for value in home.sample.columns[home.columns[meaning]].distinct}
    named = {spelt(value, how) for value in feed.sample.columns[feed.columns[meaning]].distinct}
    return len(named & held) / len(named) if named else 0.0
