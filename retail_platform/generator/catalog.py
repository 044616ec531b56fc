"""Products: what they are called, when they are launched, and what they cost on each day."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from retail_platform.generator.plan import IntArray, ShopPlan
from retail_platform.generator.words import CATEGORIES, COLOURS

PRICE_CHANGES_PER_DAY = 1 / 120
"""Of each product."""
LAUNCHED_LATER = 0.08
"""Share of products that are not there on the first day."""

_FEWEST, _MOST = 60, 2000
_DEAREST_RISE, _DEEPEST_CUT = 2.5, 0.4
_HALF = 0.5


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """Every product of the shop, by its number from 0.

    Attributes:
        names: Product -> `product_name`, `category`.
        launched: Product -> first day on which it is sold (0 is the shop's first day).
        cents: Product x day -> price in cents, from the first day on.
    """

    names: pl.DataFrame
    launched: IntArray
    cents: IntArray

    def price_list(self, plan: ShopPlan) -> pl.DataFrame:
        """What product files say: all products on the first day, then those launched or changed that day.

        Returns:
            `product_id`, `product_name`, `category`, `cents`, `drop_date`, in order of day and product.
        """
        is_told = np.diff(self.cents, axis=1, prepend=0) != 0
        days = np.arange(plan.days)
        is_told &= days >= self.launched[:, None]
        is_told |= days == self.launched[:, None]
        day, product = np.nonzero(is_told.T)
        return self.names[product].select(
            product_ids(pl.Series(product)).alias("product_id"),
            "product_name",
            "category",
            pl.Series("cents", self.cents[product, day]),
            plan.dates(day).alias("drop_date"),
        )


def product_ids(products: pl.Series) -> pl.Series:
    """Ids of products by their numbers."""
    return "P" + (products + 1).cast(pl.String).str.zfill(4)


def make_catalog(plan: ShopPlan) -> Catalog:
    """Make the products and their prices. A larger shop has more of them."""
    random = plan.random("catalog")
    size = int(np.clip(20 * plan.orders_per_day**0.55, _FEWEST, _MOST))
    category = random.integers(len(CATEGORIES), size=size)
    is_later = random.random(size) < LAUNCHED_LATER
    launched = np.where(is_later, random.integers(plan.days, size=size), 0)
    middle = np.array([one.price for one in CATEGORIES])[category]
    first = middle * random.lognormal(sigma=0.5, size=size)
    return Catalog(names=_names(category), launched=launched, cents=_prices(first, plan.days, random))


def _prices(first: np.ndarray, days: int, random: np.random.Generator) -> IntArray:
    """Prices move now and then, by some percent, and end in .49 or .99."""
    shape = (len(first), days)
    is_changed = random.random(shape) < PRICE_CHANGES_PER_DAY
    is_changed[:, 0] = False
    steps = np.where(is_changed, random.normal(0.01, 0.09, shape), 0.0)
    drift = np.exp(np.cumsum(steps, axis=1)).clip(_DEEPEST_CUT, _DEAREST_RISE)
    price = first[:, None] * drift
    whole = np.floor(price)
    return (whole * 100 + np.where(price - whole < _HALF, 49, 99)).astype(np.int64)


def _names(category: IntArray) -> pl.DataFrame:
    """Names, each of its own as long as the words last: the n-th product of a category has its n-th combination."""
    numbers = pl.DataFrame({"code": category}).select("code", pl.int_range(pl.len()).over("code").alias("n"))
    names = []
    for code, n in numbers.iter_rows():
        words = CATEGORIES[code]
        style, noun = words.styles[n // len(words.nouns) % len(words.styles)], words.nouns[n % len(words.nouns)]
        round_number = n // (len(words.nouns) * len(words.styles))
        names.append(f"{style} {noun}" + (f", {COLOURS[round_number % len(COLOURS)]}" if round_number else ""))
    labels = pl.Series("category", [one.name for one in CATEGORIES]).gather(category)
    return pl.DataFrame({"product_name": names, "category": labels})
