"""The one entry point for Dagster: everything under `defs/`, and the resources it runs with."""

import warnings
from pathlib import Path

import dagster as dg
from dagster.components.core.component_tree import ComponentTree

import retail_platform.defs
from retail_platform.components.days import IO_MANAGER, PLATFORM
from retail_platform.instance.warm_runs import built_before_forks, fork_runs_of_this_code_server
from retail_platform.lake.io_manager import LakeIOManager
from retail_platform.platform import Platform, assembled_platform, assembling

# What our libraries import as late as when they are used: 0.1 s.
_LATE_IMPORTS = ("pandera.backends.polars.builtin_checks", "narwhals._polars.dataframe")


def build_defs(platform: Platform | None = None) -> dg.Definitions:
    """Assemble the definitions, for production, tests and the command line alike.

    Args:
        platform: The data folder to work on; that of the environment's settings by default.
    """
    platform = platform or assembled_platform()
    # From the module, not from a pyproject.toml above it: an installed wheel has none.
    tree = ComponentTree.from_module(retail_platform.defs, project_root=Path(__file__).parent)
    with warnings.catch_warnings(), assembling(platform):
        # Loading a folder of definitions is not yet stable in 1.13; `test_definitions.py` pins what comes of it.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        loaded = tree.build_defs()
    # Dagster passes `owners` on itself where a sensor has jobs, and does so later than here.
    warnings.filterwarnings(
        "ignore", message="Parameter `owners` of initializer `SensorDefinition", category=dg.BetaWarning
    )
    resources = {PLATFORM: platform, IO_MANAGER: LakeIOManager(platform.table)}
    shared = dg.Definitions(resources=resources, executor=dg.in_process_executor, loggers={"console": _console()})
    return dg.Definitions.merge(loaded, shared)


def _console() -> dg.LoggerDefinition:
    """Dagster's console log, of errors alone unless asked otherwise: the event log has everything."""
    schema = {
        "log_level": dg.Field(str, is_required=False, default_value="ERROR"),
        "name": dg.Field(str, is_required=False, default_value="dagster"),
    }
    return dg.LoggerDefinition(dg.colored_console_logger.logger_fn, config_schema=schema)


@dg.definitions
def definitions() -> dg.Definitions:
    """What a code server loads, and each run."""
    fork_runs_of_this_code_server(*_LATE_IMPORTS, "retail_platform.prebuilt")
    return built_before_forks() or build_defs()
