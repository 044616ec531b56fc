"""WHAT tables are: one pandera model per table, and the named rules its rows must keep. No Dagster, no I/O."""
