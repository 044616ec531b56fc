"""What the commands share: printing, mistakes told in a sentence, and the light half of the platform."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from retail_platform.landing.lane import Lane, lanes
from retail_platform.landing.ledger import Ledger
from retail_platform.settings import Settings, current_settings
from retail_platform.source_catalog import load_sources


class UserError(Exception):
    """A mistake of the user's; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Landing:
    """Settings, ledger and lanes: enough to look at files, and nothing that is slow to import."""

    settings: Settings
    ledger: Ledger
    lanes: dict[str, Lane]

    def named(self, source: str | None) -> list[str]:
        """The one source named, or all active ones.

        Raises:
            UserError: there is no such source.
        """
        if source is None:
            return list(self.lanes)
        if source not in self.lanes:
            raise UserError(f"There is no source {source}; active sources are {', '.join(self.lanes)}.")
        return [source]


def open_landing() -> Landing:
    """The landing side of the platform that the environment names."""
    settings = current_settings()
    ledger = Ledger(settings.ledger_location)
    return Landing(settings=settings, ledger=ledger, lanes=lanes(load_sources(settings.sources), settings, ledger))


def print_table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under their column names; numbers stand to the right."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for position, name in enumerate(columns):
        is_number = any(isinstance(row[position], int | float | Decimal) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_shown(value) for value in row))
    console.print(table, markup=False)


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if type(value) is int else str(value)
