"""From bronze to silver for some days: one bad row is set aside and stops no other, whatever rules a source has."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from retail_platform.landing.lane import Lane
from retail_platform.landing.ledger import Ledger
from retail_platform.landing.refining import RefinedDays, refine_days
from retail_platform.settings import Settings
from retail_platform.source_spec import SourceSpec
from retail_platform_tests.unit.frames import ENGINE, Row, bronze, june


def refined(root: Path, rules: Mapping[str, str], *rows: Row) -> RefinedDays:
    """Customers of a shop with these rules of its own, all delivered on the first of June."""
    spec = SourceSpec.model_validate(
        {
            "currency": "USD",
            "feeds": {"people": {"kind": "master", "columns": ["id", "mail"], "key": ["id"]}},
            "entities": {
                "customers": {"feed": "people", "columns": {"customer_id": "id", "email": "mail"}, "rules": rules}
            },
        }
    )
    lane = Lane(source="shop", spec=spec, settings=Settings(data_dir=root), ledger=Ledger("sqlite://"))
    people = bronze(["id", "mail"], [{"_key": number, "id": f"C{number}", **row} for number, row in enumerate(rows)])
    return refine_days(lane, "customers", people.to_native(), [june(1)], ENGINE)


BAD, GOOD = {"mail": "nowhere"}, {"mail": "ann@example.com"}


@pytest.mark.parametrize(
    ("rules", "kept", "set_aside"),
    [
        ({}, ["ann@example.com"], 1),
        ({"email_malformed": "warn"}, ["nowhere", "ann@example.com"], 0),
        ({"email_malformed": "off"}, ["nowhere", "ann@example.com"], 0),
    ],
)
def test_a_source_loosens_a_rule_and_its_days_are_not_blocked(
    tmp_path: Path, rules: dict[str, str], kept: list[str], set_aside: int
):
    days = refined(tmp_path, rules, BAD, GOOD)
    assert days.blocked == {}
    assert days.silver["email"].to_list() == kept
    assert days.quarantine["reasons"].to_list() == [["email_malformed"]] * set_aside


def test_an_amount_that_is_too_large_is_set_aside_and_blocks_nothing(tmp_path: Path):
    spec = SourceSpec.model_validate(
        {
            "currency": "USD",
            "feeds": {
                "lines": {
                    "kind": "transactional",
                    "columns": ["number", "day", "quantity", "price"],
                    "key": ["number"],
                    "date": {"column": "day"},
                }
            },
            "entities": {
                "orders": {
                    "feed": "lines",
                    "columns": {
                        "order_id": "number",
                        "line_number": {"constant": "1"},
                        "order_date": "day",
                        "quantity": "quantity",
                        "unit_price": "price",
                    },
                }
            },
        }
    )
    lane = Lane(source="shop", spec=spec, settings=Settings(data_dir=tmp_path), ledger=Ledger("sqlite://"))
    line = {"day": "2024-06-01", "price": "99.99"}
    lines = bronze(
        spec.feeds["lines"].columns,
        [
            {"_key": 1, "number": "O1", "quantity": "2", **line},
            {"_key": 2, "number": "O2", "quantity": "9000000000000000000", **line},
        ],
    )
    days = refine_days(lane, "orders", lines.to_native(), [june(1)], ENGINE)
    assert days.blocked == {}
    assert days.silver["order_id"].to_list() == ["O1"]
    assert days.quarantine["reasons"].to_list() == [["total_amount_unreadable"]]
