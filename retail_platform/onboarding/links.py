"""What columns are by how files hang together, for where their names do not say it."""

from collections.abc import Mapping, Sequence

from retail_platform.onboarding.samples import ColumnLook, Sample, simple_name
from retail_platform.onboarding.words import Meaning, thing_named

_MOST = 0.5
_FEW = 2
_MEANINGS = {"order": "order_id", "customer": "customer_id", "product": "product_id"}
_OF_CUSTOMERS = ("email", "first_name", "last_name", "phone", "signup_date", "birth_date", "city")
_OF_PRODUCTS = ("product_name", "category", "unit_price", "unit_cost", "subcategory")


def linked(samples: Sequence[Sample]) -> Mapping[str, Mapping[str, str]]:
    """By feed, the column that holds a meaning (`order_id`, `customer_id`, `product_id`).

    A column of one name in several feeds that names each row of one of them, and most of whose values elsewhere are
    found there, is a key: of orders, customers or products, as the rest of that feed looks.
    """
    found: dict[str, dict[str, str]] = {sample.name: {} for sample in samples}
    for name in dict.fromkeys(simple_name(column) for sample in samples for column in sample.columns):
        holders = {sample.name: column for sample in samples if (column := _column(sample, name))}
        homes = [sample for sample in samples if sample.name in holders and holders[sample.name].is_unique]
        for home in homes:
            users = [other for other in samples if _points_to(other, home, holders)]
            thing = _thing(home, users) if users else None
            if thing:
                for sample in (home, *users):
                    found[sample.name].setdefault(_MEANINGS[thing], holders[sample.name].name)
    return found


def _column(sample: Sample, name: str) -> ColumnLook | None:
    return next((look for column, look in sample.columns.items() if simple_name(column) == name), None)


def _points_to(sample: Sample, home: Sample, holders: Mapping[str, ColumnLook]) -> bool:
    """Whether most of a feed's values are found in the column of that name of another feed."""
    if sample is home or sample.name not in holders:
        return False
    values, held = holders[sample.name].distinct, set(holders[home.name].distinct)
    return bool(values) and sum(value in held for value in values) >= _MOST * len(values)


def _thing(home: Sample, users: Sequence[Sample]) -> str | None:
    """What the rows of a feed are, by its name or else by what is in it and in those that name its rows."""
    named = thing_named(home.name)
    if named in _MEANINGS:
        return named
    looks = Meaning(home.columns)
    if any(looks.has(meaning) for meaning in _OF_CUSTOMERS):
        return "customer"
    if any(looks.has(meaning) for meaning in _OF_PRODUCTS):
        return "product"
    counted = any(sum(look.is_number for look in user.columns.values()) >= _FEW for user in users)
    return "order" if "date" in looks.found and counted else None
