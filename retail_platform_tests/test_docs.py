"""Documents that are made from code say what the code says."""

from pathlib import Path

import retail_platform
from retail_platform.commands.dictionary import dictionary
from retail_platform.contracts.gold import GOLD
from retail_platform.contracts.marts import MARTS
from retail_platform.contracts.silver import ENTITIES

DOCS = Path(retail_platform.__file__).parents[1] / "docs"


def test_the_data_dictionary_is_current():
    assert (DOCS / "tables.md").read_text(encoding="utf-8") == dictionary(), "run `make docs`"


def test_the_data_dictionary_has_every_table_and_rule():
    text = dictionary()
    contracts = [*ENTITIES.values(), *GOLD.values(), *MARTS.values()]
    titles = {line.rpartition(".")[2] for line in text.splitlines() if line.startswith("### ")}
    tables = {title.removeprefix("\\<source\\>_") for title in titles}
    assert {contract.name for contract in contracts} <= tables
    rules = [rule for contract in contracts for rule in contract.rules]
    assert [rule.name for rule in rules if f"| `{rule.name}` |" not in text or rule.says not in text] == []
