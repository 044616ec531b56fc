"""Jobs: each source's way from landing to the warehouse, and publishing alone."""

import dagster as dg

from retail_platform.platform import assembled_platform

DOWNSTREAM = dg.AssetSelection.key_prefixes(["gold"], ["marts"], ["serving"])


def job_name(source: str) -> str:
    """The job that takes a source's days to the warehouse."""
    return f"load_{source}"


PUBLISH = "publish"


@dg.definitions
def jobs() -> dg.Definitions:
    """One job per active source."""
    loads = [
        dg.define_asset_job(
            job_name(source),
            selection=dg.AssetSelection.key_prefixes(["bronze", source], ["silver", source]) | DOWNSTREAM,
            description=f"Takes days of {source} from landing to the warehouse. {spec.description}",
        )
        for source, spec in assembled_platform().sources.items()
    ]
    publish = dg.define_asset_job(
        PUBLISH,
        selection=dg.AssetSelection.assets(["serving", "duckdb"]),
        description="Brings the DuckDB warehouse up to date with the lake.",
    )
    return dg.Definitions(jobs=[*loads, publish])
