"""A retail data platform on Dagster: CSV files in, a trusted star schema and a shop's answers out."""
