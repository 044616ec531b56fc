"""erp_crm: what one system says of a customer may come before or after the other; the tables are the same."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from retail_platform_tests.shop import Shop

FILES = {
    "erp_crm/cust_info/cust_info-2026-02-01.csv": """\
cst_id,cst_key,cst_firstname,cst_lastname,cst_marital_status,cst_gndr,cst_create_date
1,AW00000001, Jon,Yang ,M,M,2025-10-06
2,AW00000002,Carmen,Subram,S,,2026-01-27
2,AW00000002,Carmen,,,,2026-01-25
""",
    "erp_crm/cust_az12/CUST_AZ12-2026-02-01.csv": "CID,BDATE,GEN\nNASAW00000001,1971-10-06,Male\nAW00000002,,F\n",
    "erp_crm/loc_a101/LOC_A101-2026-02-03.csv": "CID,CNTRY\nAW-00000001,DE\nAW-00000002,US\n",
    "erp_crm/px_cat_g1v2/PX_CAT_G1V2-2026-02-03.csv": "ID,CAT,SUBCAT\nAC_HE,Accessories,Helmets\n",
    "erp_crm/prd_info/prd_info-2026-02-01.csv": """\
prd_id,prd_key,prd_nm,prd_cost,prd_line,prd_start_dt,prd_end_dt
1,AC-HE-HL-1,Helmet,12,S ,2011-07-01,
2,AC-HE-HL-1,Helmet,14,S ,2012-07-01,
""",
    "erp_crm/sales_details/sales-2026-02-02.csv": """\
sls_ord_num,sls_prd_key,sls_cust_id,sls_order_dt,sls_ship_dt,sls_due_dt,sls_sales,sls_quantity,sls_price
SO1,HL-1,1,20260131,20260202,20260203,,2,20
SO1,HL-1,2,20260131,20260202,20260203,40,2,
SO2,HL-1,2,0,20260202,20260203,20,1,20
""",
}


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """The tables where all files came at once."""
    return loaded(tmp_path_factory.mktemp("erp") / "data", [list(FILES)])


def loaded(data: Path, portions: Sequence[Sequence[str]]) -> dict[str, pl.DataFrame]:
    """The tables after a load of each portion."""
    with Shop(data, sources="erp_crm") as shop:
        for portion in portions:
            for path in portion:
                shop.deliver(path, FILES[path].replace("\n", "\r\n"), at="2026-02-03T06:00:00")
            assert not shop.load().errors
        return dict(shop.tables(("silver", "gold")))


def test_both_systems_meet(at_once: dict[str, pl.DataFrame]) -> None:
    """A customer has a name from one and a country from the other; a product its category."""
    customers = at_once["silver.erp_crm_customers"].select("customer_id", "full_name", "gender", "country")
    assert customers.rows() == [("1", "Jon Yang", "Male", "Germany"), ("2", "Carmen Subram", "Female", "United States")]
    sales = at_once["gold.sales"].select("line_number", pl.col("total_amount").cast(pl.Int64), "category", "unit_cost")
    assert [row[:3] for row in sales.rows()] == [(1, 40, "Accessories"), (2, 40, "Accessories")]
    # Two helmets for 40, of which each costs 14.
    assert at_once["gold.sales"]["margin"].cast(pl.Int64).to_list() == [12, 12]
    assert at_once["silver.erp_crm_orders_quarantine"]["reasons"].to_list() == [["order_date_unreadable"]]


@pytest.mark.parametrize("order", [[[0, 4, 5], [1, 2, 3]], [[5, 3], [2, 4, 1], [0]]], ids=["CRM first", "ERP first"])
def test_what_comes_first_does_not_matter(
    at_once: dict[str, pl.DataFrame], tmp_path: Path, order: list[list[int]]
) -> None:
    """Some files first, the others later."""
    paths = list(FILES)
    tables = loaded(tmp_path / "data", [[paths[place] for place in places] for places in order])
    assert list(tables) == list(at_once)
    for name, frame in at_once.items():
        assert_frame_equal(tables[name], frame)
