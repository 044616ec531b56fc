"""Amounts of money: exact decimals, rounded half up to cents once."""

from decimal import Decimal

import narwhals as nw

CENTS = nw.Decimal(18, 2)
_LARGEST = 10**15
_TIE_BREAK = Decimal("0.00001")


def to_cents(amount: nw.Expr) -> nw.Expr:
    """Round an amount of up to four decimals to cents, half away from zero; null where it is too large to hold.

    Engines break ties differently when they cast decimals (Polars to even, Spark up), so a tie is pushed off the middle
    before the cast: with four decimals, nothing but a tie is moved by 0.00001.
    """
    pushed = amount + nw.when(amount < 0).then(nw.lit(-_TIE_BREAK)).otherwise(nw.lit(_TIE_BREAK))
    return nw.when(amount.abs() < _LARGEST).then(pushed).cast(CENTS)
