"""Thin Dagster definitions, loaded by folder: sources, gold, marts, serving."""
