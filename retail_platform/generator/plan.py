"""What is asked of a generated shop, and the random streams that follow from its seed."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

IntArray = npt.NDArray[np.int64]
Topic = Literal[
    "catalog", "rhythm", "people", "moves", "orders", "baskets", "refunds", "payments", "row dirt", "file dirt"
]

TOPICS: tuple[Topic, ...] = (
    "catalog",
    "rhythm",
    "people",
    "moves",
    "orders",
    "baskets",
    "refunds",
    "payments",
    "row dirt",
    "file dirt",
)
"""Each has a stream of its own, by its place here: a shop with more dirt is the same shop, so new ones come last."""


@dataclass(frozen=True, kw_only=True)
class ShopPlan:
    """A shop to generate; equal plans give equal files, byte for byte.

    Attributes:
        start: Its first day.
        days: How many days it is open.
        orders_per_day: On average over those days.
        seed: Chooses one shop of many.
        dirt: Share of rows delivered otherwise than they should be, 0 to 0.5.
    """

    start: date
    days: int = 90
    orders_per_day: int = 40
    seed: int = 1
    dirt: float = 0.02

    @property
    def last(self) -> date:
        """The last day."""
        return self.start + timedelta(days=self.days - 1)

    def dates(self, days: IntArray) -> pl.Series:
        """Dates of days counted from the first, which is 0."""
        return pl.Series(np.datetime64(self.start, "D") + days)

    def random(self, topic: Topic) -> np.random.Generator:
        """The topic's stream, from its beginning: independent of all others, and of how much they are used."""
        return np.random.default_rng(np.random.SeedSequence(self.seed).spawn(len(TOPICS))[TOPICS.index(topic)])
