import pytest

from retail_platform.instance.reviewed import fingerprint


class Till:
    def open(self) -> str:
        return "open"

    def close(self) -> str:
        return "closed"


def test_the_same_source_has_the_same_fingerprint() -> None:
    assert fingerprint({Till: ("open",)}) == fingerprint({Till: ("open",)})


@pytest.mark.parametrize(
    "other",
    [
        fingerprint({Till: ("close",)}),
        fingerprint({Till: ("open", "close")}),
        fingerprint({Till: ("open",)}, also=["a column"]),
    ],
)
def test_any_other_source_or_word_has_another(other: str) -> None:
    assert other != fingerprint({Till: ("open",)})


def test_a_part_that_is_gone_leaves_none() -> None:
    assert fingerprint({Till: ("open", "refund")}) == ""
