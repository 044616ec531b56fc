"""Where columns come from, as the catalog shows it: complete for gold and marts, and from columns that are there."""

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

from retail_platform.components.lineage import LINEAGE
from retail_platform.contracts.gold import DIM_DATE, GOLD
from retail_platform.contracts.marts import MARTS
from retail_platform.definitions import build_defs
from retail_platform.platform import Platform
from retail_platform.settings import Settings
from retail_platform.transforms.calendar import DELIVERED
from retail_platform_tests.scenario import FILES
from retail_platform_tests.shop import Shop

Origins = dict[str, set[tuple[str, str]]]

OURS = {"currency", "occurrences"}
"""Silver columns that no feed gives."""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> BaseAssetGraph:
    settings = Settings.model_validate({"data_dir": tmp_path_factory.mktemp("shop")})
    return build_defs(Platform.from_settings(settings)).resolve_asset_graph()


def tables(graph: BaseAssetGraph, layer: str) -> list[dg.AssetKey]:
    return [key for key in graph.get_all_asset_keys() if key.path[0] == layer]


def origins(graph: BaseAssetGraph, key: dg.AssetKey) -> Origins:
    lineage = graph.get(key).metadata.get(LINEAGE)
    deps = lineage.deps_by_column if lineage else {}
    return {name: {(dep.asset_key.to_user_string(), dep.column_name) for dep in of} for name, of in deps.items()}


def columns(graph: BaseAssetGraph, key: dg.AssetKey) -> set[str]:
    return {column.name for column in graph.get(key).metadata["dagster/column_schema"].columns}


@pytest.mark.parametrize("contract", [*GOLD.values(), *MARTS.values()], ids=lambda contract: contract.name)
def test_every_column_of_gold_and_marts_comes_from_somewhere(graph: BaseAssetGraph, contract):
    found = origins(graph, dg.AssetKey([contract.layer, contract.name]))
    # What a day is called follows from the day, but for what a source's calendar says of it.
    expected = set(DELIVERED) if contract is DIM_DATE else set(contract.schema)
    assert set(found) == expected
    assert all(found.values())


@pytest.mark.parametrize("layer", ["silver", "gold", "marts"])
def test_it_comes_from_columns_that_are_there_of_tables_that_come_before(graph: BaseAssetGraph, layer: str):
    assert tables(graph, layer)
    for key in tables(graph, layer):
        parents = graph.get(key).parent_keys
        known = {(parent.to_user_string(), name) for parent in parents for name in columns(graph, parent)}
        for name, of in origins(graph, key).items():
            assert name in columns(graph, key)
            assert of <= known, f"{key.to_user_string()}.{name}: {of - known}"


def test_what_a_source_declares_comes_from_the_feed_it_names(graph: BaseAssetGraph):
    found = origins(graph, dg.AssetKey(["silver", "storefront", "orders"]))
    assert found["unit_price"] == {("bronze/storefront/products", "price")}
    assert found["payment_method"] == {("bronze/storefront/orders", "payment_mode")}
    assert found["total_amount"] == {("bronze/storefront/orders", "quantity"), ("bronze/storefront/products", "price")}
    assert "deal_size" not in found
    assert OURS.isdisjoint(found)


def test_facts_come_from_every_source(graph: BaseAssetGraph):
    found = origins(graph, dg.AssetKey(["gold", "fact_sales"]))
    assert {asset for asset, _ in found["net_amount"]} == {
        key.to_user_string() for key in tables(graph, "silver") if key.path[-1] == "orders"
    }


def test_the_catalog_has_it_with_the_newest_day(shop: Shop):
    for path, content in FILES.items():
        shop.deliver(path, content)
    shop.load()
    event = shop.instance.get_latest_materialization_event(dg.AssetKey(["gold", "fact_sales"]))
    assert event is not None
    assert event.asset_materialization is not None
    lineage = event.asset_materialization.metadata[LINEAGE].value
    assert isinstance(lineage, dg.TableColumnLineage)
    assert "net_amount" in lineage.deps_by_column
