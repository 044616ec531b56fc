"""What an IO manager says about the days it has stored: which of them count, and what each holds."""

from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg


def narrow_output_days(context: dg.OutputContext, days: Collection[str]) -> None:
    """Report a materialization for the given days only, instead of for every day of the run.

    For an IO manager's `handle_output`, as its last call: some days of a run may be blocked by their quality, while
    the others, and everything downstream, go on. The run ends as a success. A day left out is not materialized:
    it shows as missing, or as what it was before; its failed check shows; and a backfill ends as failed and names it.

    Args:
        context: The output's, in a run of a range or of a single partition.
        days: The partition keys that were stored: all of the run's, some, or none.

    Raises:
        ValueError: A day is not one of the run's.
    """
    of_run = context.asset_partition_keys
    if strangers := sorted(set(days).difference(of_run)):
        raise ValueError(f"{context.asset_key.to_user_string()}: {strangers[0]} is not a day of this run.")
    kept = [day for day in of_run if day in set(days)]
    if len(kept) == len(of_run):
        return
    if kept:
        subset = context.asset_partitions_def.empty_subset().with_partition_keys(kept)
        context._asset_partitions_subset = subset  # noqa: SLF001  Dagster 1.13 has no other way to report part of a range
        return
    # With no partition left Dagster would report one materialization of the whole asset. Without a key it reports none.
    context._asset_key = None  # noqa: SLF001  as above


def describe_output_days(context: dg.OutputContext, metadata: Mapping[str, Mapping[str, Any]]) -> None:
    """Give each day's materialization its own metadata, for example `dagster/partition_row_count`.

    For an IO manager's `handle_output`, before `narrow_output_days`.

    Args:
        context: The output's, in a run of a range or of a single partition.
        metadata: By partition key; plain values or `dg.MetadataValue`.
    """
    step = context.step_context
    for day, entries in metadata.items():
        step.add_asset_metadata(entries, asset_key=context.asset_key, partition_key=day)
