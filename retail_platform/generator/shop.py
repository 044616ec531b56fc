"""A generated shop: each feed's rows as they truly are, as they are delivered, and what of it is dirt."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from retail_platform.generator.catalog import make_catalog
from retail_platform.generator.dirt import KIND, KINDS, deliver
from retail_platform.generator.feeds import FEEDS
from retail_platform.generator.file_dirt import FILE_KINDS, FileKey, FileKind, choose_file_dirt
from retail_platform.generator.payments import make_payments
from retail_platform.generator.people import make_people
from retail_platform.generator.plan import ShopPlan
from retail_platform.generator.rhythm import order_days
from retail_platform.generator.sales import make_lines


@dataclass(frozen=True, kw_only=True)
class GeneratedShop:
    """A shop, before anything is written.

    Attributes:
        plan: What was asked for.
        true: By feed, its rows as they are, in the platform's words but for prices in cents. The n-th is `_row` n.
        delivered: By feed, its rows as text in the order of delivery (see `dirt.deliver`).
        odd_files: The files that are odd as a whole.
    """

    plan: ShopPlan
    true: Mapping[str, pl.DataFrame]
    delivered: Mapping[str, pl.DataFrame]
    odd_files: Mapping[FileKey, FileKind]

    def dirt(self) -> Iterator[tuple[str, str, int]]:
        """How much dirt there is: what it is on (a feed's rows, or files), its kind, and how many."""
        for feed, rows in self.delivered.items():
            counts = dict(rows[KIND].drop_nulls().value_counts().iter_rows())
            yield from ((f"{feed} rows", kind.name, counts[kind.name]) for kind in KINDS[feed] if kind.name in counts)
        kinds = list(self.odd_files.values())
        yield from (("files", kind.name, kinds.count(kind)) for kind in FILE_KINDS if kind in kinds)


def make_shop(plan: ShopPlan) -> GeneratedShop:
    """Generate a shop."""
    order_day = order_days(plan)
    people = make_people(plan, order_day)
    catalog = make_catalog(plan)
    lines = make_lines(plan, order_day, people, catalog)
    true = {
        "customers": people.customer_list(plan),
        "products": catalog.price_list(plan),
        "orders": lines,
        "payments": make_payments(plan, lines),
    }
    streams = plan.random("row dirt").spawn(len(FEEDS))
    delivered = {
        name: deliver(feed.texts(true[name]), KINDS[name], plan, random)
        for (name, feed), random in zip(FEEDS.items(), streams, strict=True)
    }
    return GeneratedShop(plan=plan, true=true, delivered=delivered, odd_files=choose_file_dirt(delivered, plan))
