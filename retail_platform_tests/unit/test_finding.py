"""Finding files: what is one, what is none, and the date in a name."""

from datetime import date
from pathlib import Path

import pytest

from retail_platform.landing.finding import date_in_name, find_files


def put(landing: Path, *paths: str) -> None:
    for path in paths:
        (landing / path).parent.mkdir(parents=True, exist_ok=True)
        (landing / path).write_text("a\n", encoding="utf-8")


def test_csv_files_are_found_in_order_at_any_depth(tmp_path: Path):
    put(tmp_path, "shop/orders/b.tsv", "shop/orders/2024/06/a.CSV", "shop/customers/c.csv", "other/orders/x.csv")
    found = find_files(tmp_path, "shop", ["orders", "customers"])
    paths = ["shop/customers/c.csv", "shop/orders/2024/06/a.CSV", "shop/orders/b.tsv"]
    assert [(file.path, file.size) for file in found.files] == [(path, 2) for path in paths]
    assert (found.ignored, found.unreadable) == ({}, {})


def test_hidden_and_unfinished_files_are_passed_over(tmp_path: Path):
    put(tmp_path, *(f"shop/orders/{name}" for name in (".a.csv", "a.csv.tmp", "a.csv.part", "a.crdownload")))
    put(tmp_path, "shop/orders/.hidden/a.csv")
    found = find_files(tmp_path, "shop", ["orders"])
    assert (found.files, found.ignored) == ([], {})


def test_what_is_no_csv_file_and_a_misspelt_feed_are_told(tmp_path: Path):
    put(tmp_path, "shop/orders/a.xlsx", "shop/ordres/a.csv")
    assert find_files(tmp_path, "shop", ["orders", "customers"]).ignored == {
        "shop/orders/a.xlsx": "its name does not end in .csv or .tsv",
        "shop/ordres": "shop has no such feed; it has orders, customers",
    }


def test_a_source_without_a_folder_has_no_files(tmp_path: Path):
    assert find_files(tmp_path, "shop", ["orders"]).files == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("shop/orders/2024-06-14.csv", date(2024, 6, 14)),
        ("shop/orders/orders_20240614_v2.csv", date(2024, 6, 14)),
        ("shop/orders/2024-06-14/part.csv", date(2024, 6, 14)),
        ("shop/orders/2024-06-13/orders-2024-06-14.csv", date(2024, 6, 14)),
        ("shop/orders/orders.csv", None),
        ("shop/orders/2024-02-30.csv", None),
        ("shop/orders/2024-0614.csv", None),
        ("shop/orders/id120240614.csv", None),
        ("shop/orders/1999-01-01.csv", None),
        ("shop/orders/2099-01-01.csv", None),
        ("2024-06-14/orders/a.csv", None),
    ],
)
def test_the_date_in_a_name(path: str, expected: date | None):
    assert date_in_name(path, first=date(2003, 1, 1), last=date(2026, 1, 1)) == expected
