"""How Dagster itself is stored and run: its home, the event log, headless runs, days of a range run, orphaned runs.

Nothing here knows a retail table. Which assets and jobs there are belongs into `defs`, the command line into `cli`.
"""
