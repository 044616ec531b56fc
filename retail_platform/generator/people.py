"""Customers: who orders when, where they live, and how they move and change their addresses."""

import unicodedata
from dataclasses import dataclass

import numpy as np
import polars as pl

from retail_platform.generator.plan import IntArray, ShopPlan
from retail_platform.generator.words import CITIES, FIRST_NAMES, LAST_NAMES, MAIL_DOMAINS

KNOWN_AT_START = 8
"""Customers on the first day, for each order a day."""
NEW_SHARE = 0.12
"""Share of orders by somebody who signs up with it."""
LOYALTY = 2.2
"""Above 1, the longest known customers order more than others."""
CHANGES_PER_DAY = 1 / 700
"""Moves and changes of e-mail addresses, of each customer."""
MOVE_SHARE = 0.7

_FEWEST_KNOWN = 20
_SIGNED_UP_SINCE = 730


@dataclass(frozen=True, kw_only=True)
class People:
    """Every customer of the shop, by number from 0, and who orders.

    Attributes:
        buyer: Order -> customer.
        signed_up: Customer -> day of signing up; negative is before the shop's first file.
    """

    buyer: IntArray
    signed_up: IntArray

    def customer_list(self, plan: ShopPlan) -> pl.DataFrame:
        """What customer files say: all who are known on the first day, then those who are new or changed that day.

        Returns:
            `customer_id`, `full_name`, `email`, `city`, `state`, `country`, `signup_date`, `drop_date`, in order of
            day and customer.
        """
        random = plan.random("moves")
        told = _states(self.signed_up, plan.days, random)
        size = len(self.signed_up)
        first, last = random.integers(len(FIRST_NAMES), size=size), random.integers(len(LAST_NAMES), size=size)
        names = pl.DataFrame(
            {
                "first": pl.Series(FIRST_NAMES).gather(first),
                "last": pl.Series(LAST_NAMES).gather(last),
                "mailbox": _ascii(FIRST_NAMES).gather(first) + "." + _ascii(LAST_NAMES).gather(last),
                "signup_date": plan.dates(self.signed_up),
            }
        )
        people = names[told["customer"]]
        cities = pl.DataFrame(CITIES, schema=["city", "state", "people"], orient="row")[told["city"]]
        domain = pl.Series(MAIL_DOMAINS).gather(told["mail"] % len(MAIL_DOMAINS))
        return people.select(
            customer_ids(told["customer"]).alias("customer_id"),
            pl.concat_str("first", pl.lit(" "), "last").alias("full_name"),
            pl.concat_str("mailbox", told["mail"].cast(pl.String), pl.lit("@"), domain).alias("email"),
            cities["city"],
            cities["state"],
            pl.lit("USA").alias("country"),
            "signup_date",
            plan.dates(told["day"].to_numpy()).alias("drop_date"),
        )


def customer_ids(customers: pl.Series) -> pl.Series:
    """Ids of customers by their numbers."""
    return "C" + (customers + 1).cast(pl.String).str.zfill(6)


def make_people(plan: ShopPlan, order_day: IntArray) -> People:
    """Decide who places each order: somebody new, or one of those known before that day."""
    random = plan.random("people")
    at_start = max(_FEWEST_KNOWN, KNOWN_AT_START * plan.orders_per_day)
    is_new = random.random(len(order_day)) < NEW_SHARE
    new_by_day = np.bincount(order_day[is_new], minlength=plan.days)
    known = at_start + np.cumsum(new_by_day) - new_by_day
    regular = (known[order_day] * random.random(len(order_day)) ** LOYALTY).astype(np.int64)
    buyer = np.where(is_new, at_start - 1 + np.cumsum(is_new), regular)
    signed_up = np.concatenate([-random.integers(1, _SIGNED_UP_SINCE, size=at_start), order_day[is_new]])
    return People(buyer=buyer, signed_up=signed_up)


def _states(signed_up: IntArray, days: int, random: np.random.Generator) -> pl.DataFrame:
    """Where each customer lives and gets mail, from each day on which that is told.

    Returns:
        `day`, `customer`, `city` (number), `mail` (a number that makes the address), sorted.
    """
    size = len(signed_up)
    told_first = signed_up.clip(min=0)
    changes = int(random.poisson(days * size * CHANGES_PER_DAY))
    customer = random.integers(size, size=changes)
    day = random.integers(days, size=changes)
    is_move = pl.Series(random.random(changes) < MOVE_SHARE)
    weights = np.array([people for _, _, people in CITIES], dtype=np.float64)
    city = random.choice(len(CITIES), size=size + changes, p=weights / weights.sum())
    mail = random.integers(1, 1000, size=size + changes)
    first = pl.DataFrame({"day": told_first, "customer": np.arange(size), "city": city[:size], "mail": mail[:size]})
    changed = pl.DataFrame({"day": day, "customer": customer, "city": city[size:], "mail": mail[size:]}).select(
        "day",
        "customer",
        pl.when(is_move).then("city"),
        pl.when(~is_move).then("mail"),
    )
    changed = changed.filter(pl.Series(day > told_first[customer]))
    # Each customer's first row says everything, so what is filled in is never another customer's.
    told = pl.concat([first, changed]).sort("customer", "day", maintain_order=True).fill_null(strategy="forward")
    return told.unique(["customer", "day"], keep="last", maintain_order=True).sort("day", "customer")


def _ascii(names: tuple[str, ...]) -> pl.Series:
    """Names as they stand in e-mail addresses."""
    plain = (unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() for name in names)
    return pl.Series(["".join(filter(str.isalnum, name)).lower() for name in plain])
