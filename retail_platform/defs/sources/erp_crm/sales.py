"""Which of a sales line's three numbers can be believed: the rules of erp_crm, which a declaration cannot say.

A line says sales, quantity and price; each may be missing, zero, of the wrong sign, or contradict the others.
"""

import narwhals as nw

_NUMBER = r"^-?\d{1,12}(\.\d{1,4})?$"
_EXACT = nw.Decimal(38, 4)


def repaired(lines: nw.LazyFrame) -> nw.LazyFrame:
    """Add `sales` and `price` to sales lines.

    Sales that are missing, not positive, or not quantity x |price| become quantity x |price|. A price that is missing
    or not positive becomes sales // quantity, by the sales as they came. Text that is no number stays as it is, so that
    it is told as unreadable.

    Args:
        lines: The feed's columns, as text.
    """
    sales, quantity, price = (_number(f"sls_{name}") for name in ("sales", "quantity", "price"))
    worth = quantity * price.abs()
    is_wrong = sales.is_null() | (sales <= 0) | (sales != worth).fill_null(value=False)
    # Null instead of zero: an engine divides before it looks at a condition.
    per_unit = (sales / nw.when(quantity != 0).then(quantity)).floor()
    believed = {
        "sales": nw.when(is_wrong).then(worth).otherwise(sales),
        "price": nw.when(price.is_null() | (price <= 0)).then(per_unit).otherwise(price),
    }
    return lines.with_columns(
        nw.when(_is_illegible(f"sls_{name}")).then(nw.col(f"sls_{name}")).otherwise(value.cast(nw.String())).alias(name)
        for name, value in believed.items()
    )


def _number(column: str) -> nw.Expr:
    text = nw.col(column).str.strip_chars()
    return nw.when(text.str.contains(_NUMBER)).then(text).cast(_EXACT)


def _is_illegible(column: str) -> nw.Expr:
    text = nw.col(column).str.strip_chars()
    return (text != "") & ~text.str.contains(_NUMBER)
