"""Values as a declaration describes them: which text they come from, and the steps it goes through.

All values are text until they get their type; a computed one is worked out in exact decimals, and is text again.
"""

from collections.abc import Mapping
from decimal import Decimal

import narwhals as nw

from retail_platform.expressions import Absolute, ColumnValue, Expression, Number, Operation, columns_of
from retail_platform.expressions import parse_expression as parse
from retail_platform.source_spec import ColumnSpec

NUMBER = "number."
"""Prefix of columns that hold a feed's text read as numbers, for computing."""
COMPUTED = nw.Decimal(38, 10)
"""What is computed with: ten decimals, so that money is rounded to cents or to the price's four decimals only once."""

_LARGEST = 10**13
_ILLEGIBLE = "not computable"
"""The text of what cannot be computed though nothing is missing: no number, division by zero, too large. No type takes
it, so that it counts as unreadable."""


def value_of(spec: ColumnSpec, *, prefix: str) -> nw.Expr:
    """The text of a value; null where it is missing.

    Args:
        spec: The description.
        prefix: Stands before the names of the columns it is made from. What is computed with must be there once more,
            as a number (type `COMPUTED`), with the prefix `NUMBER` before that.
    """
    value = _origin(spec, prefix)
    if spec.extract is not None:
        whole = f"(?s)^.*?(?:{spec.extract}).*$"
        value = nw.when(value.str.contains(whole)).then(value.str.replace_all(whole, "$1"))
    for pattern, replacement in spec.replace.items():
        value = value.str.replace_all(pattern, replacement)
    value = _without_blanks(value)
    if spec.case is not None:
        value = value.str.to_uppercase() if spec.case == "upper" else value.str.to_lowercase()
    if spec.patterns is not None:
        value = _first_match(value, spec.patterns)
    if spec.map:
        value = value.replace_strict(dict(spec.map), default=value, return_dtype=nw.String)
    return value if spec.default is None else value.fill_null(spec.default)


def _origin(spec: ColumnSpec, prefix: str) -> nw.Expr:
    if spec.constant is not None:
        return nw.lit(spec.constant)
    if spec.first_of:
        return nw.coalesce(*(value_of(part, prefix=prefix) for part in spec.first_of))
    if spec.join:
        return nw.concat_str(
            [value_of(part, prefix=prefix) for part in spec.join], separator=spec.separator, ignore_nulls=True
        )
    if spec.compute is not None:
        return _computed(parse(spec.compute), prefix)
    return _without_blanks(nw.col(prefix + str(spec.column)).cast(nw.String()))


def _without_blanks(text: nw.Expr) -> nw.Expr:
    stripped = text.str.strip_chars()
    return nw.when(stripped != "").then(stripped)


def _first_match(value: nw.Expr, patterns: Mapping[str, str]) -> nw.Expr:
    matched = nw.lit(None).cast(nw.String())
    for pattern, result in reversed(list(patterns.items())):
        matched = nw.when(value.str.contains(pattern)).then(nw.lit(result)).otherwise(matched)
    return matched


def _computed(expression: Expression, prefix: str) -> nw.Expr:
    """The result as text; missing where an operand is missing, illegible where it could not be worked out."""
    operands = [_without_blanks(nw.col(prefix + name)) for name in dict.fromkeys(columns_of(expression))]
    result = _evaluated(expression, prefix).cast(nw.String())
    if not operands:
        return result
    is_missing = nw.any_horizontal(*(operand.is_null() for operand in operands), ignore_nulls=False)
    return nw.when(~is_missing).then(nw.coalesce(result, nw.lit(_ILLEGIBLE)))


def _evaluated(expression: Expression, prefix: str) -> nw.Expr:
    match expression:
        case Number(value=value):
            return nw.lit(value).cast(COMPUTED)
        case ColumnValue(name=name):
            return _held(nw.col(NUMBER + prefix + name))
        case Absolute(of=inner):
            return _evaluated(inner, prefix).abs()
        case Operation(left=left, operator=operator, right=right):
            return _held(_operated(_evaluated(left, prefix), operator, _evaluated(right, prefix)))


def _operated(left: nw.Expr, operator: str, right: nw.Expr) -> nw.Expr:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            # Null instead of zero: an engine divides before it looks at a condition, and stops at zero.
            return left / nw.when(right != nw.lit(Decimal(0))).then(right)


def _held(value: nw.Expr) -> nw.Expr:
    """Null where it is too large: a product of two larger ones would not fit, and stop the engine."""
    return nw.when(value.abs() < _LARGEST).then(value)
