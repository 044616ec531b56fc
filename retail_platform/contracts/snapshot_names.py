"""The snapshot marts by name: contracts are slow to import, and who only looks what is out of date need not wait."""

SNAPSHOTS = "snapshots"
"""The job that takes snapshots and publishes them."""

SNAPSHOT_DATE = "snapshot_date"
"""Their partition column: the day at whose end the snapshot was taken."""

NEWEST_ONLY = ("product_affinity",)
"""Too much to work out for every day: of a run over several days only the last gets rows, and no history is shown."""

SNAPSHOT_NAMES = (
    "sales_by_period",
    "product_performance",
    "product_family_sales",
    "regional_sales",
    "order_status_impact",
    "customer_segments",
    "top_customers",
    "customer_cohorts",
    *NEWEST_ONLY,
)
