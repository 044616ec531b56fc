"""`retail generate`: the files of a made-up, dirty shop, to try the platform with."""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rich.console import Console

from retail_platform.commands.console import UserError, print_table
from retail_platform.generator.feeds import FEEDS
from retail_platform.generator.plan import ShopPlan
from retail_platform.generator.shop import GeneratedShop, make_shop
from retail_platform.generator.writing import file_names, write_shop
from retail_platform.settings import current_settings

SOURCE = "storefront"
MOST_DIRT = 0.5
MOST_ORDERS = 5_000_000
"""More do not fit in the memory of a small machine: an order takes two kilobytes."""


def generate(
    out: Console, *, days: int, orders_per_day: int, start: date | None, seed: int, dirt: float, folder: Path | None
) -> None:
    """Write the files, and print what there is and what is wrong with it.

    Raises:
        UserError: there can be no such shop, or its folder holds other files.
    """
    _check_size(days=days, orders_per_day=orders_per_day, seed=seed, dirt=dirt)
    today = datetime.now(UTC).date()
    plan = ShopPlan(
        start=start or _latest_start(days, today), days=days, orders_per_day=orders_per_day, seed=seed, dirt=dirt
    )
    _check_days(plan, today)
    folder = folder or current_settings().landing_dir / SOURCE
    shop = make_shop(plan)
    names = file_names(shop)
    try:
        _check_folder(folder, names)
        write_shop(shop, folder)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to: {error.strerror or error}. Name another with --out."
        ) from error
    out.print(f"{len(names):,} files in {folder}, of {plan.start} to {plan.last}", markup=False)
    _print_counts(out, shop)


def _check_size(*, days: int, orders_per_day: int, seed: int, dirt: float) -> None:
    if days < 1:
        raise UserError(f"--days is {days}: a shop is open for at least one.")
    if orders_per_day < 1:
        raise UserError(f"--orders-per-day is {orders_per_day}: a shop has at least one.")
    if days * orders_per_day > MOST_ORDERS:
        raise UserError(
            f"{days:,} days of {orders_per_day:,} orders are more than {MOST_ORDERS:,} orders: ask for fewer of either."
        )
    if seed < 0:
        raise UserError(f"--seed is {seed}: it is a number from 0.")
    if not 0 <= dirt <= MOST_DIRT:
        raise UserError(f"--dirt is {dirt}: it is the share of rows that are dirty, from 0 to {MOST_DIRT}.")


def _latest_start(days: int, today: date) -> date:
    try:
        return today - timedelta(days=days)
    except OverflowError as error:
        raise UserError(f"--days is {days:,}: there were not that many.") from error


def _check_days(plan: ShopPlan, today: date) -> None:
    first = current_settings().start_date
    if plan.start < first:
        raise UserError(
            f"The shop would open on {plan.start}, before the platform's first day, {first}: ask for fewer --days or a "
            "later --start, or set RETAIL_START_DATE earlier."
        )
    if plan.days > (today - plan.start).days + 1:
        raise UserError(
            f"{plan.days:,} days from {plan.start} lead beyond today, {today}: ask for fewer --days or an earlier "
            "--start."
        )


def _check_folder(folder: Path, names: Collection[Path]) -> None:
    """Two shops in one folder would be one, with two customers to each id."""
    there = (file for feed in FEEDS for file in (folder / feed).glob("*.csv") if not file.name.startswith("."))
    others = sorted(file for file in there if file.relative_to(folder) not in names)
    if others:
        raise UserError(
            f"{folder} holds {len(others):,} files that are not this shop's, such as {others[0].relative_to(folder)}: "
            "move them away, or name another folder with --out."
        )


def _print_counts(out: Console, shop: GeneratedShop) -> None:
    true = shop.true
    counts = {
        "order lines": true["orders"].height,
        "payments": true["payments"].height,
        "customers": true["customers"]["customer_id"].n_unique(),
        "products": true["products"]["product_id"].n_unique(),
    }
    print_table(out, list(counts), [list(counts.values())])
    dirt = list(shop.dirt())
    if dirt:
        out.print()
        print_table(out, ["dirt in", "what", "how often"], dirt)
