"""HOW tables are computed: pure functions over Narwhals lazy frames. No Dagster, no I/O, no engine's own words."""
