"""Jobs: each source's way from landing to the warehouse, and publishing alone."""

import dagster as dg

from retail_platform.components.days import daily
from retail_platform.settings import current_settings
from retail_platform.source_catalog import load_sources

DOWNSTREAM = dg.AssetSelection.key_prefixes(["gold"], ["marts"], ["serving"])


def job_name(source: str) -> str:
    """The job that takes a source's days to the warehouse."""
    return f"load_{source}"


PUBLISH = "publish"


@dg.definitions
def jobs() -> dg.Definitions:
    """One job per active source."""
    settings = current_settings()
    partitions = daily(settings.start_date)
    loads = [
        dg.define_asset_job(
            job_name(source),
            selection=dg.AssetSelection.key_prefixes(["bronze", source], ["silver", source]) | DOWNSTREAM,
            partitions_def=partitions,
            description=f"Takes days of {source} from landing to the warehouse. {spec.description}",
        )
        for source, spec in load_sources(settings.sources).items()
    ]
    publish = dg.define_asset_job(
        PUBLISH,
        selection=dg.AssetSelection.assets(["serving", "duckdb"]),
        partitions_def=partitions,
        description="Brings the DuckDB warehouse up to date with the lake.",
    )
    return dg.Definitions(jobs=[*loads, publish])
