"""The real files of the five systems, loaded as they are by `retail load` from an empty folder, each way once."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

import retail_platform
from retail_platform_tests.shop import Shop

LANDING: Mapping[str, Mapping[str, str]] = {
    "storefront": {feed: f"mini_retail/{feed}.csv" for feed in ("customers", "products", "orders")},
    "psycho_bunny": {
        "transactions": "psycho_bunny/de_shop_transactions_*.csv",
        "customers": "psycho_bunny/de_shop_customers_*.csv",
        "calendar": "psycho_bunny/de_dates.csv",
    },
    "erp_crm": {
        "cust_info": "erp_crm/source_crm/cust_info.csv",
        "prd_info": "erp_crm/source_crm/prd_info.csv",
        "sales_details": "erp_crm/source_crm/sales_details.csv",
        "cust_az12": "erp_crm/source_erp/CUST_AZ12.csv",
        "loc_a101": "erp_crm/source_erp/LOC_A101.csv",
        "px_cat_g1v2": "erp_crm/source_erp/PX_CAT_G1V2.csv",
    },
    "online_retail": {"invoices": "online_retail/*.csv"},
    "olist": {
        "orders": "olist/olist_orders_dataset.csv",
        "order_items": "olist/olist_order_items_dataset.csv",
        "order_payments": "olist/olist_order_payments_dataset.csv",
        "customers": "olist/olist_customers_dataset.csv",
        "products": "olist/olist_products_dataset.csv",
        "product_category_name_translation": "olist/product_category_name_translation.csv",
    },
}
"""Source -> feed -> its files in the shared data."""

SOURCES = tuple(LANDING)


def real_files(real_data: Path, source: str, feed: str) -> list[Path]:
    """The files of a feed, in order."""
    files = sorted(real_data.glob(LANDING[source][feed]))
    assert files, LANDING[source][feed]
    return files


def put(shop_folder: Path, source: str, feed: str, files: list[Path]) -> None:
    """Copy files to landing as they are."""
    folder = shop_folder / "landing" / source / feed
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy2(file, folder)


@dataclass(frozen=True)
class RealData:
    """A data folder with the real files of some sources, all loaded. Many tests share it: they only read."""

    folder: Path
    sources: tuple[str, ...]

    def retail(self, *words: str) -> str:
        """What the command prints."""
        environment = {"RETAIL_DATA_DIR": str(self.folder), "RETAIL_SOURCES": ",".join(self.sources)}
        result = subprocess.run(
            [sys.executable, "-m", "retail_platform.cli", *words],
            env=os.environ | environment,
            cwd=Path(retail_platform.__file__).parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows that `retail query` prints."""
        return [tuple(row.values()) for row in json.loads(self.retail("query", sql, "--format", "json"))]

    def shop(self) -> Shop:
        """The folder, opened in this process."""
        return Shop(self.folder, sources=",".join(self.sources))


@dataclass(frozen=True)
class RealDataStore:
    """Loads each combination of sources when it is first asked for, once for all processes that run tests."""

    real_data: Path
    root: Path

    def together(self) -> RealData:
        """All five sources in one lake, by one load."""
        return self._of("together", SOURCES)

    def alone(self, source: str) -> RealData:
        """One source in a lake of its own."""
        return self._of(source, (source,))

    def _of(self, name: str, sources: tuple[str, ...]) -> RealData:
        self.root.mkdir(parents=True, exist_ok=True)
        loaded = RealData(self.root / name, sources)
        mark = self.root / f"{name}.loaded"
        with FileLock(self.root / f"{name}.lock"):
            if not mark.exists():
                for source in sources:
                    for feed in LANDING[source]:
                        put(loaded.folder, source, feed, real_files(self.real_data, source, feed))
                loaded.retail("load")
                assert "Nothing to do" in loaded.retail("load")
                mark.touch()
        return loaded
