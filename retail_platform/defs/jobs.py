"""Jobs, and the sensors that start them: each source's way from landing to the warehouse, and publishing alone."""

import dagster as dg

from retail_platform.components.days import PLATFORM, PUBLISH, SOURCE, WAREHOUSE, Job, job_name, scan_job_name
from retail_platform.components.drop_sensor import drop_sensor
from retail_platform.components.publish_sensor import publish_sensor
from retail_platform.components.snapshot_sensor import selected, snapshot_sensor
from retail_platform.contracts.marts import SNAPSHOT_MARTS
from retail_platform.contracts.snapshot_names import SNAPSHOTS
from retail_platform.landing.drops import ScanReport, scan
from retail_platform.platform import Platform, assembled_platform

WITH_SNAPSHOTS = dg.AssetSelection.assets(*selected(list(SNAPSHOT_MARTS)))
# A drop touches days of the past; snapshots are of the newest day, and follow in a run of their own.
DOWNSTREAM = dg.AssetSelection.key_prefixes(["gold"], ["marts"], ["serving"]) - (
    WITH_SNAPSHOTS - dg.AssetSelection.assets(WAREHOUSE)
)


@dg.definitions
def jobs() -> dg.Definitions:
    """Two jobs and a sensor per active source, a job and a sensor for snapshots, and such to publish."""
    publish = dg.define_asset_job(
        PUBLISH,
        selection=dg.AssetSelection.assets(WAREHOUSE),
        description="Brings the DuckDB warehouse up to date with the lake.",
    )
    snapshots = dg.define_asset_job(
        SNAPSHOTS,
        selection=WITH_SNAPSHOTS,
        description="Takes snapshots of the marts that look at all history, as of the end of a day, and publishes.",
    )
    jobs: list[Job] = [publish, snapshots]
    sensors = [publish_sensor(WAREHOUSE, publish), snapshot_sensor(snapshots)]
    for source, spec in assembled_platform().sources.items():
        selection = dg.AssetSelection.key_prefixes(["bronze", source], ["silver", source]) | DOWNSTREAM
        description = f"Takes days of {source} from landing to the warehouse. {spec.description}"
        tags = {SOURCE: source}
        load = dg.define_asset_job(job_name(source), selection=selection, description=description, tags=tags)
        of_source = [load, _scan_job(source)]
        jobs += of_source
        sensors.append(drop_sensor(source, of_source))
    return dg.Definitions(jobs=jobs, sensors=sensors)


def _scan_job(source: str) -> dg.JobDefinition:
    @dg.op(name=f"look_at_{source}", required_resource_keys={PLATFORM})
    def look(context: dg.OpExecutionContext) -> None:
        platform: Platform = context.resources.platform
        for line in _told(scan(platform.lanes[source])):
            context.log.info(line)

    @dg.job(
        name=scan_job_name(source),
        description=f"Takes new files of {source} into the ledger that are too many or too large for its sensor.",
        tags={SOURCE: source},
    )
    def scan_source() -> None:
        look()

    return scan_source


def _told(report: ScanReport) -> list[str]:
    return [
        f"{report.files} files, of which {len(report.new)} are new or changed.",
        *(f"{drop.path} is {drop.status}: {drop.message}" for drop in report.new if drop.status != "pending"),
        *(f"{path} could not be read: {why}" for path, why in report.unreadable.items()),
    ]
