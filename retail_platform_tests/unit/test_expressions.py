"""Expressions of a declaration: what may be written, what becomes of it, and that nothing else is taken."""

from decimal import Decimal

import pytest

from retail_platform.expressions import Absolute, ColumnValue, Number, Operation, columns_of, parse_expression


def test_an_expression_is_read_as_arithmetic_is():
    a, b, c = (ColumnValue(name=name) for name in "abc")
    assert parse_expression("abs(a) / b") == Operation(left=Absolute(of=a), operator="/", right=b)
    assert parse_expression(" a + b * c ") == Operation(
        left=a, operator="+", right=Operation(left=b, operator="*", right=c)
    )
    assert parse_expression("(a - b) * 0.1") == Operation(
        left=Operation(left=a, operator="-", right=b), operator="*", right=Number(value=Decimal("0.1"))
    )
    assert parse_expression("-a") == Operation(left=Number(value=Decimal(0)), operator="-", right=a)


def test_columns_may_be_looked_up_or_have_any_name():
    assert list(columns_of(parse_expression("list.price * 'Unit Qty' - abs(list.price)"))) == [
        "list.price",
        "Unit Qty",
        "list.price",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a +", "no expression"),
        ("", "no expression"),
        ("a ** b", "'a \\*\\* b' cannot be used"),
        ("a // b", "'a // b' cannot be used"),
        ("a if b else c", "cannot be used"),
        ("a > b", "cannot be used"),
        ("round(a)", "'round\\(a\\)' cannot be used"),
        ("abs(a, b)", "cannot be used"),
        ("__import__('os').system('true')", "cannot be used"),
        ("a.b.c", "'a.b.c' cannot be used"),
        ("[a]", "cannot be used"),
        ("True", "'True' cannot be used"),
        ("100000000000000 * a", "too large"),
        ("0x1F", "no decimal number"),
        ("(" * 500 + "a" + ")" * 500, "no expression"),
    ],
)
def test_nothing_else_is_an_expression(text: str, told: str):
    with pytest.raises(ValueError, match=told):
        parse_expression(text)
