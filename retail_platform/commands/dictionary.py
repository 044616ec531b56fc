"""`python -m retail_platform.commands.dictionary > docs/tables.md`: every table, from the contracts themselves."""

import sys

from retail_platform.components.lane_checks import ALL_DESCRIBED, BRONZE_CHECKS, ONE_DAY_PER_KEY, SILVER_CHECKS
from retail_platform.components.tables import UNIQUE_KEY
from retail_platform.contracts.bronze import DESCRIPTIONS, TECHNICAL
from retail_platform.contracts.dictionary import markdown_table, table_section, type_in_words
from retail_platform.contracts.gold import (
    DIM_CUSTOMER_PUBLISHED,
    DIM_DATE,
    DIM_PRODUCT_PUBLISHED,
    FACT_ORDERS,
    FACT_PAYMENTS,
    FACT_SALES,
)
from retail_platform.contracts.marts import DAILY_MARTS, SNAPSHOT_MARTS
from retail_platform.contracts.silver import ENTITIES, QUARANTINE
from retail_platform.contracts.snapshot_names import NEWEST_ONLY
from retail_platform.serving.duckdb import sql_views
from retail_platform.serving.gold_checks import GOLD_CHECKS

_OPENING = """\
# Every table

Made from the contracts by `make docs`; do not edit. Names are those of the warehouse (`retail query`, or
`data/warehouse/retail.duckdb`). Every rule is a Dagster check of its table, with a result for each day; where a row is
set aside, the rule's name is the reason that quarantine shows. A source's `defs.yaml` may make a rule of silver
stricter or milder ([declarations](declarations.md)); a rule about a column that a source does not fill does
not apply to it.

Text is stripped and never empty: what is missing is null. Amounts are decimals, rounded half up to cents, once."""


def dictionary() -> str:
    """The whole data dictionary, as Markdown."""
    sections = [_OPENING, _contents(), _bronze(), _silver(), _gold(), _marts()]
    return "\n\n".join(sections) + "\n"


def _contents() -> str:
    return (
        "[Bronze](#bronze): what was delivered · [Silver](#silver): what sources mean by it, in one language · "
        "[Gold](#gold): the star schema · [Marts](#marts): answers"
    )


def _bronze() -> str:
    about = (
        "`bronze.<source>_<feed>`: a feed as it was delivered, all its columns as text, and these. Nothing is left out."
    )
    columns = [[f"`{name}`", type_in_words(dtype), DESCRIPTIONS[name]] for name, dtype in TECHNICAL.items()]
    return "\n\n".join(
        [
            "## Bronze",
            about,
            markdown_table(("column", "type", "what it holds"), columns),
            _checks("Checks of every bronze table", [(check.name, check.says) for check in BRONZE_CHECKS]),
        ]
    )


def _silver() -> str:
    checks = [(check.name, check.says) for check in SILVER_CHECKS]
    checks.append((ONE_DAY_PER_KEY.name, f"{ONE_DAY_PER_KEY.says} (Not of members.)"))
    checks.append((ALL_DESCRIBED.name, f"{ALL_DESCRIBED.says} (Only of members read off transactions.)"))
    return "\n\n".join(
        [
            "## Silver",
            "One table for each source and entity, equal for all sources, and beside it the rows set aside.",
            *(table_section(f"silver.\\<source\\>_{name}", contract) for name, contract in ENTITIES.items()),
            table_section("silver.\\<source\\>_\\<entity\\>_quarantine", QUARANTINE),
            _checks("Checks of every silver table", checks),
        ]
    )


def _gold() -> str:
    current = "- `{name}_current` holds the current version of each member"
    dimensions = [
        table_section(f"gold.{contract.name}", contract, also=[current.format(name=contract.name)])
        for contract in (DIM_CUSTOMER_PUBLISHED, DIM_PRODUCT_PUBLISHED)
    ]
    others = [
        table_section(f"gold.{contract.name}", contract)
        for contract in (DIM_DATE, FACT_SALES, FACT_ORDERS, FACT_PAYMENTS)
    ]
    views = [[f"`{view.schema}.{view.name}`", view.comment] for view in sql_views()]
    return "\n\n".join(
        [
            "## Gold",
            "The star schema over all sources. Facts hold only what their rows say, so that they never go stale.",
            *dimensions,
            *others,
            "### Views",
            markdown_table(("view", "what it shows"), views),
            _checks("Check of every gold table and mart", [(UNIQUE_KEY.name, UNIQUE_KEY.says)]),
            _checks("Checks of published gold", [(check.name, check.says) for check in GOLD_CHECKS]),
        ]
    )


def _marts() -> str:
    daily = [table_section(f"marts.{name}", contract) for name, contract in DAILY_MARTS.items()]
    snapshots = [
        table_section(f"marts.{name}", contract, also=[_history(name)]) for name, contract in SNAPSHOT_MARTS.items()
    ]
    return "\n\n".join(["## Marts", *daily, *snapshots])


def _history(name: str) -> str:
    if name in NEWEST_ONLY:
        return "- The newest snapshot"
    return f"- The newest snapshot; `{name}_history` holds all that were taken"


def _checks(title: str, checks: list[tuple[str, str]]) -> str:
    return f"### {title}\n\n" + markdown_table(
        ("check", "what it says"), [(f"`{name}`", says) for name, says in checks]
    )


if __name__ == "__main__":
    sys.stdout.write(dictionary())
