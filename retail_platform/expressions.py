"""The arithmetic that a declaration may use (`compute: abs(TOTAL) / QUANTITY`): what it says, as a tree. Nothing runs.

Allowed are the columns of a feed, numbers, `+ - * /`, brackets and `abs(...)`. A column whose name is no plain word is
written in quotes: `'Unit Price' * Qty`. A text is parsed as Python is, and never evaluated.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal

Operator = Literal["+", "-", "*", "/"]

_OPERATORS: dict[type[ast.operator], Operator] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_ALLOWED = "columns, numbers, + - * /, brackets and abs(...)"
_LARGEST = 10**13


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number, as written."""

    value: Decimal


@dataclass(frozen=True, kw_only=True)
class ColumnValue:
    """What stands in a column, read as a number."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Absolute:
    """A value without its sign."""

    of: "Expression"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """Two values, and what becomes of them."""

    left: "Expression"
    operator: Operator
    right: "Expression"


Expression = Number | ColumnValue | Absolute | Operation


def parse_expression(text: str) -> Expression:
    """Read an expression.

    Raises:
        ValueError: it is none, or uses what is not allowed; the message says what.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _read(tree.body, text.strip())
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text!r} is no expression; allowed are {_ALLOWED}") from error


def columns_of(expression: Expression) -> Iterator[str]:
    """The columns that an expression names, in its order; a name may repeat."""
    match expression:
        case ColumnValue(name=name):
            yield name
        case Absolute(of=inner):
            yield from columns_of(inner)
        case Operation(left=left, right=right):
            yield from columns_of(left)
            yield from columns_of(right)
        case Number():
            return


def _read(node: ast.expr, text: str) -> Expression:
    match node:
        case ast.Name(id=name) | ast.Constant(value=str(name)):
            return ColumnValue(name=name)
        case ast.Attribute(value=ast.Name(id=lookup), attr=column):
            return ColumnValue(name=f"{lookup}.{column}")
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _number(ast.get_source_segment(text, node) or str(value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Operation(left=Number(value=Decimal(0)), operator="-", right=_read(operand, text))
        case ast.Call(func=ast.Name(id="abs"), args=[argument], keywords=[]):
            return Absolute(of=_read(argument, text))
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return Operation(left=_read(left, text), operator=_OPERATORS[type(operator)], right=_read(right, text))
        case _:
            used = ast.get_source_segment(text, node) or text
            raise ValueError(f"{used!r} cannot be used in an expression; allowed are {_ALLOWED}")


def _number(text: str) -> Number:
    # As written: a float of Python is not what 0.1 says.
    try:
        value = Decimal(text.replace("_", ""))
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no decimal number") from error
    if abs(value) >= _LARGEST:
        raise ValueError(f"{text} is too large: numbers in an expression are below {_LARGEST:,}")
    return Number(value=value)
