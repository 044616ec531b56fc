"""Every knob of the platform, typed, with its default; each is set by RETAIL_<NAME> in the environment.

Thresholds of business rules live here too, so that a shop changes a number and not code. What belongs to one source
(its time zone, its formats) is declared in that source's `defs.yaml`, not here.
"""

from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_SNAPSHOT_THRESHOLDS = {
    *("value_segment_high", "value_segment_medium", "percentile_segment_high", "percentile_segment_low"),
    *("top_customers", "affinity_min_orders"),
}


class SettingsError(Exception):
    """A setting in the environment is wrong; the message names the variable, its value and the problem."""


class Settings(BaseSettings):
    """The platform's settings (`RETAIL_*`)."""

    model_config = SettingsConfigDict(env_prefix="RETAIL_", frozen=True)

    data_dir: Path = Field(default=Path("data"), description="Folder of landing, lake, warehouse and state.")
    sources: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        default=None, description="Active sources, separated by commas; all bundled ones when not set."
    )
    start_date: date = Field(default=date(2003, 1, 1), description="First daily partition.")
    ledger_url: str | None = Field(
        default=None, description="SQLAlchemy URL of the ledger; a SQLite file in the data folder when not set."
    )

    settle_seconds: float = Field(
        default=2.0, ge=0, description="A file is finished when it has not changed for this long."
    )
    run_attempts: int = Field(
        default=3, ge=1, description="A drop whose day has failed this often is held, with the reason."
    )
    run_gap_days: int = Field(
        default=31, ge=0, description="Days without work that one run may bridge rather than be split in two."
    )
    rewrite_hold_share: float = Field(
        default=0.20, ge=0, le=1, description="A rewritten file that takes away more of its keys than this is held."
    )
    quarantine_block_share: float = Field(
        default=0.20, ge=0, le=1, description="A day with more of its rows in quarantine than this is blocked."
    )
    quarantine_block_min_rows: int = Field(default=50, ge=1, description="Smaller days are never blocked by the share.")
    restocking_fee_rate: Decimal = Field(
        default=Decimal("0.10"), ge=Decimal(0), decimal_places=4, description="Of the absolute refund amount."
    )
    large_order_amount: Decimal = Field(
        default=Decimal(5000), ge=Decimal(0), description="An order of this total or more is large."
    )
    outlier_deviations: float = Field(
        default=6.0, gt=0, description="An amount further than this from its product's median is an outlier."
    )
    value_segment_high: Decimal = Field(
        default=Decimal(10_000), description="A customer who has spent this or more is of high value."
    )
    value_segment_medium: Decimal = Field(
        default=Decimal(5_000), description="A customer who has spent this or more is of medium value."
    )
    percentile_segment_high: float = Field(
        default=0.67, gt=0, lt=1, description="Customers above this percentile of spending are High."
    )
    percentile_segment_low: float = Field(
        default=0.33, gt=0, lt=1, description="Customers above this percentile of spending are Medium, others Low."
    )
    top_customers: int = Field(default=100, ge=1, description="How many of a source's customers are the top ones.")
    affinity_min_orders: int = Field(
        default=20, ge=1, description="Pairs of products are shown that were bought together in so many orders."
    )

    @field_validator("sources", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @model_validator(mode="after")
    def _segments_are_in_order(self) -> Self:
        if self.value_segment_medium > self.value_segment_high:
            raise ValueError("RETAIL_VALUE_SEGMENT_MEDIUM is above RETAIL_VALUE_SEGMENT_HIGH: set it lower")
        if self.percentile_segment_low > self.percentile_segment_high:
            raise ValueError("RETAIL_PERCENTILE_SEGMENT_LOW is above RETAIL_PERCENTILE_SEGMENT_HIGH: set it lower")
        return self

    @property
    def snapshot_thresholds(self) -> str:
        """The settings that decide what snapshot marts say, in words."""
        return self.model_dump_json(include=_SNAPSHOT_THRESHOLDS)

    @property
    def root(self) -> Path:
        """The data folder, absolute: views in the warehouse name files by it."""
        return self.data_dir.expanduser().resolve()

    @property
    def landing_dir(self) -> Path:
        """Where files arrive: `landing/<source>/<feed>/*.csv`."""
        return self.root / "landing"

    @property
    def lake_dir(self) -> Path:
        """The Parquet tables."""
        return self.root / "lake"

    @property
    def index_dir(self) -> Path:
        """The key indexes (key -> day)."""
        return self.root / "index"

    @property
    def warehouse_dir(self) -> Path:
        """The folder of `retail.duckdb`."""
        return self.root / "warehouse"

    @property
    def ledger_location(self) -> str:
        """The SQLAlchemy URL the ledger is opened with."""
        return self.ledger_url or f"sqlite:///{self.root / 'ledger.sqlite'}"


@cache
def current_settings() -> Settings:
    """The settings of this process, read from the environment once.

    Raises:
        SettingsError: a variable holds what it cannot.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(map(_explain, error.errors()))) from error


def _explain(problem: ErrorDetails) -> str:
    if not problem["loc"]:
        return problem["msg"].removeprefix("Value error, ")
    return f"RETAIL_{problem['loc'][0]!s}".upper() + f" is {problem['input']!r}: {problem['msg']}"
