"""How long do pages of the Dagster UI take, in a real browser? And pictures of them, for the README.

    python -m benchmarks.ui DATA_DIR [--pictures FOLDER] [--chromium /usr/bin/chromium] [--runs 3]

Needs a Chromium. `DATA_DIR` is a loaded data folder. A page counts as loaded when
what it is about is on it.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from retail_platform.instance.home import open_instance
from retail_platform.instance.services import Services, free_port, running

_LOCATION = "/locations/retail_platform.definitions"
PAGES = {
    "asset graph": ("/asset-groups", "serving"),
    "a source's tables": (f"{_LOCATION}/asset-groups/storefront/lineage", "orders_quarantine"),
    "partitions of an asset": ("/assets/silver/storefront/orders?view=partitions", "Partitions Selected"),
    "runs": ("/runs", "load_storefront"),
    "a sensor": (f"{_LOCATION}/sensors/storefront_drops", "requested"),
}
_PATIENCE_MS = 120_000
_REST_MS = 2_000


def main() -> None:
    """Open each page several times, in a browser that has been there before."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    os.environ["RETAIL_DATA_DIR"] = str(given.data_dir.resolve())
    with open_instance(given.data_dir):
        services = Services(
            "retail_platform.definitions",
            host="127.0.0.1",
            port=free_port("127.0.0.1"),
            log=given.data_dir / "dagster.log",
        )
    with running(services), sync_playwright() as playwright:
        services.wait_until_ready()
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1500, "height": 1000}).new_page()
        time.sleep(15)
        for name, (path, text) in PAGES.items():
            seconds = [load(page, services.url + path, text) for _ in range(given.runs + 1)][1:]
            print(f"{name:28} median {statistics.median(seconds):5.1f} s  max {max(seconds):5.1f} s", flush=True)
            if given.pictures:
                given.pictures.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=given.pictures / f"{name.replace(' ', '-').replace(chr(39), '')}.png")
        browser.close()


def load(page: Page, url: str, text: str) -> float:
    """Open a page; seconds until it is there."""
    page.goto("about:blank")
    started = time.perf_counter()
    page.goto(url)
    page.get_by_text(text).filter(visible=True).first.wait_for(timeout=_PATIENCE_MS)
    seconds = time.perf_counter() - started
    # For the picture: what is not asked about may come later.
    page.wait_for_timeout(_REST_MS)
    return seconds


if __name__ == "__main__":
    main()
