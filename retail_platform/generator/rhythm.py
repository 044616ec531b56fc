"""How busy the shop is: weekdays, seasons and growth."""

import numpy as np

from retail_platform.generator.plan import IntArray, ShopPlan

BY_WEEKDAY = np.array([0.92, 0.86, 0.88, 0.94, 1.08, 1.24, 1.08])
"""From Monday."""
BY_MONTH = np.array([0.86, 0.82, 0.90, 0.92, 0.98, 0.94, 0.90, 0.94, 0.97, 1.04, 1.38, 1.55])
"""From January."""
GROWTH_PER_YEAR = 0.12

_MONDAY = 3  # 1970-01-01, from which days are counted, was a Thursday
_DAYS_PER_YEAR = 365.25


def order_days(plan: ShopPlan) -> IntArray:
    """The day (from 0) of each order, in order; their number is about `plan.days` x `plan.orders_per_day`."""
    expected = plan.orders_per_day * busyness(plan)
    return np.repeat(np.arange(plan.days), plan.random("rhythm").poisson(expected))


def busyness(plan: ShopPlan) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """How busy each day is, beside the average of all days, which is 1."""
    days = np.arange(plan.days)
    dates = np.datetime64(plan.start, "D") + days
    weekday = (dates.astype(np.int64) + _MONDAY) % 7
    month = dates.astype("datetime64[M]").astype(np.int64) % 12
    busy = BY_WEEKDAY[weekday] * BY_MONTH[month] * (1 + GROWTH_PER_YEAR) ** (days / _DAYS_PER_YEAR)
    return busy / busy.mean()
