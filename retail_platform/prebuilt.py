"""Imported by the process that runs are forked from, and by nothing else: builds the definitions as it is imported."""

from retail_platform.definitions import build_defs
from retail_platform.instance.warm_runs import build_before_forks

build_before_forks(build_defs)
