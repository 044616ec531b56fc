"""WHERE tables are computed: what Narwhals cannot say, behind one small protocol; one module per engine."""
