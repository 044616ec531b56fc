"""The ledger's tables, as SQLAlchemy knows them. What they mean is said in `retail_platform.landing.ledger`."""

from datetime import UTC, datetime

import sqlalchemy as sa

METADATA = sa.MetaData()


class Instant(sa.TypeDecorator[datetime]):
    """An instant in UTC; SQLite forgets time zones."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """To the database: in UTC, and without saying so."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """From the database: it is UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


FILES = sa.Table(
    "files",
    METADATA,
    sa.Column("path", sa.String, primary_key=True),
    sa.Column("source", sa.String, nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("modified_ns", sa.BigInteger, nullable=False),
    sa.Column("drop_id", sa.String, nullable=False),
    comment="The state in which each landing file was last looked at.",
)

DROPS = sa.Table(
    "drops",
    METADATA,
    sa.Column("drop_id", sa.String, primary_key=True),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("feed", sa.String, nullable=False),
    sa.Column("path", sa.String, nullable=False, index=True),
    sa.Column("file_id", sa.String, nullable=False),
    sa.Column("fingerprint", sa.String, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("drop_date", sa.Date, nullable=False),
    sa.Column("latest_date", sa.Date, nullable=False),
    sa.Column("dropped_at", Instant, nullable=False),
    sa.Column("seen_at", Instant, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("malformed_rows", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("message", sa.String, nullable=False),
    sa.Column("new_columns", sa.String, nullable=False),
    sa.Column("renamed_columns", sa.String, nullable=False),
    sa.Column("missing_columns", sa.String, nullable=False),
    comment="Every content of every path that was ever seen.",
)

DROP_DAYS = sa.Table(
    "drop_days",
    METADATA,
    sa.Column("drop_id", sa.String, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("is_loaded", sa.Boolean, nullable=False),
    comment="The days a drop touches; rows = 0 where it takes away what its predecessor gave.",
)

DIRTY_DAYS = sa.Table(
    "dirty_days",
    METADATA,
    sa.Column("ticket", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("drop_id", sa.String, nullable=True),
    sa.Column("since", Instant, nullable=False),
    sqlite_autoincrement=True,  # a ticket number never comes twice, or a finishing run would tear up a new one
    comment="Days of a source that wait to be computed, until a run has taken them to the warehouse.",
)
sa.Index("dirty_days_by_source", DIRTY_DAYS.c.source, DIRTY_DAYS.c.day)

BOOKS = sa.Table(
    "books",
    METADATA,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("entity", sa.String, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("bronze_rows", sa.BigInteger, nullable=False),
    sa.Column("silver_rows", sa.BigInteger, nullable=False),
    sa.Column("quarantined_rows", sa.BigInteger, nullable=False),
    sa.Column("superseded_rows", sa.BigInteger, nullable=False),
    sa.Column("blocked_because", sa.String, nullable=False),
    comment="What became of each day's rows.",
)
