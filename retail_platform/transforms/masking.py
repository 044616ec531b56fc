"""Personal data, masked: enough to recognise a record one knows, not enough to reach a person."""

import narwhals as nw

_HIDDEN = "***"
_ADDRESS = r"^([^@\s])[^@\s]*@([^@\s]+)$"


def mask_name(name: str) -> nw.Expr:
    """`Sarah Johnson` becomes `S*** J***`."""
    return nw.col(name).str.replace_all(r"(\S)\S*", "$1" + _HIDDEN)


def mask_email(name: str) -> nw.Expr:
    """`sarah.j@email.com` becomes `s***@email.com`; what is no address is hidden whole."""
    masked = nw.col(name).str.replace_all(_ADDRESS, "$1" + _HIDDEN + "@$2")
    return (
        nw.when(nw.col(name).str.contains(_ADDRESS))
        .then(masked)
        .otherwise(nw.when(~nw.col(name).is_null()).then(nw.lit(_HIDDEN)))
    )


def mask_phone(name: str) -> nw.Expr:
    """`(555) 123-4567` becomes `***67`."""
    digits = nw.col(name).str.replace_all(r"\D", "")
    return nw.lit(_HIDDEN) + digits.str.slice(-2)
