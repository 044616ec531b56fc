"""Amounts of money: exact decimals, rounded half up to cents once."""

from decimal import Decimal

import narwhals as nw

CENTS = nw.Decimal(18, 2)
NOTHING = Decimal("0.00")
_LARGEST = 10**15
_TIE_BREAK = Decimal("0.0000001")


def to_cents(amount: nw.Expr) -> nw.Expr:
    """Round an amount of up to six decimals to cents, half away from zero; null where it is too large to hold.

    Engines break ties differently when they cast decimals (Polars to even, Spark up), so a tie is pushed off the middle
    before the cast: with six decimals, nothing but a tie is moved to another cent by 0.0000001.
    """
    # What is too large goes first: it has no room for the decimals of the push.
    held = nw.when(amount.abs() < _LARGEST).then(amount)
    return (held + nw.when(amount < 0).then(nw.lit(-_TIE_BREAK)).otherwise(nw.lit(_TIE_BREAK))).cast(CENTS)
