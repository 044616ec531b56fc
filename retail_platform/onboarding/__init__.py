"""Looking at a new source's sample files, and guessing its declaration. Nothing here knows Dagster or the lake."""
