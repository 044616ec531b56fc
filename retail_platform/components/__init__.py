"""The Dagster component a source is declared with, and what its assets share with the others."""
