"""A source's own function: it adds columns, and can do nothing else to a row."""

from typing import Any

import narwhals as nw
import polars as pl
import pytest

from retail_platform.contracts.silver import CUSTOMERS, QUARANTINE
from retail_platform.source_spec import SourceSpec
from retail_platform.transforms.silver import Hook, HookError, Refinery, quarantine_rows, refine, silver_rows
from retail_platform_tests.unit.frames import ENGINE, bronze, collect, june

SPEC = SourceSpec.model_validate(
    {
        "currency": "EUR",
        "feeds": {
            "people": {"kind": "master", "columns": ["id", "mail"], "key": ["id"]},
            "places": {"kind": "master", "columns": ["of", "town"], "key": ["of"]},
        },
        "entities": {
            "customers": {
                "feed": "people",
                "lookups": {"place": {"feed": "places", "by": "id", "take": ["town"]}},
                "hook": {"function": "lane.greeted", "adds": ["greeting", "count"]},
                "columns": {"customer_id": "id", "email": "mail", "full_name": "greeting", "company": "count"},
            }
        },
    }
)


def judged(hook: Hook) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Silver and quarantine of two customers, one of whom has no good address."""
    how = Refinery(source="shop", spec=SPEC, name="customers", contract=CUSTOMERS, hook=hook)
    rows = [{"_key": 1, "id": "C1", "mail": "a@x.org"}, {"_key": 2, "id": "C2", "mail": "nowhere", "_row_number": 3}]
    places = bronze(["of", "town"], [{"of": "C1", "town": "Rome"}])
    result = refine(bronze(["id", "mail"], rows), how, versions=None, lookups={"place": places}, engine=ENGINE)
    frame = result.collect().lazy()
    return collect(silver_rows(frame, CUSTOMERS)), collect(quarantine_rows(frame, how, QUARANTINE, ENGINE))


def greeted(rows: nw.LazyFrame) -> nw.LazyFrame:
    town = nw.col("place.town").fill_null("nowhere")
    return rows.with_columns(
        nw.concat_str([nw.lit("of"), town], separator=" ").alias("greeting"), nw.lit(7).alias("count")
    )


def test_a_function_sees_the_feed_and_its_lookups_and_what_it_adds_is_text():
    silver, _ = judged(greeted)
    assert silver.select("customer_id", "full_name", "company", "drop_date").rows() == [("C1", "of Rome", "7", june(1))]


def test_what_it_does_to_other_columns_is_not_seen():
    def spoiling(rows: nw.LazyFrame) -> nw.LazyFrame:
        return greeted(rows).with_columns(nw.lit("X").alias("id"), nw.lit("a@x.org").alias("mail"))

    silver, quarantine = judged(spoiling)
    assert silver["customer_id"].to_list() == ["C1"]
    assert quarantine.select("reasons", "raw").rows() == [(["email_malformed"], '{"id":"C2","mail":"nowhere"}')]


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        (lambda rows: rows, "lane.greeted returned a frame without greeting, count: it must return the frame"),
        (lambda rows: rows.with_columns(greeting=nw.lit("hi")), "without count"),
        (lambda rows: greeted(rows).select("greeting", "count"), "without kept"),
    ],
)
def test_a_function_that_returns_something_else_is_told_so(hook: Any, told: str):
    with pytest.raises(HookError, match=told):
        judged(hook)
