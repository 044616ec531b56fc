"""The Polars engine: one machine, all its cores."""

from collections.abc import Callable, Mapping, Sequence

import narwhals as nw
import polars as pl
import polars_hash

from retail_platform.engines.engine import KEY_SEPARATOR, Reading

_HEX = 16
_MOST_DIGITS = 38
_GUARD_DIGITS = 6
_OTHER_MARK = {",": ".", ".": ","}


class PolarsEngine:
    """Runs transformations with Polars."""

    def parse(self, frame: nw.LazyFrame, readings: Mapping[str, Reading]) -> nw.LazyFrame:
        """Read text columns into their types, in place; text that cannot be read becomes null."""
        return nw.from_native(
            frame.to_native().with_columns(_parsed(pl.col(name), how).alias(name) for name, how in readings.items())
        )

    def hash_keys(self, frame: nw.LazyFrame, keys: Mapping[str, Sequence[str]]) -> nw.LazyFrame:
        """Add 63-bit keys, each hashed from text columns; null where the first of them is null."""
        return nw.from_native(
            frame.to_native().with_columns(_hashed(columns).alias(name) for name, columns in keys.items())
        )

    def pack_json(self, frame: nw.LazyFrame, columns: Sequence[str], into: str) -> nw.LazyFrame:
        """Add a text column with a JSON object of `columns`."""
        return nw.from_native(frame.to_native().with_columns(pl.struct(columns).struct.json_encode().alias(into)))

    def once(self, frame: nw.LazyFrame) -> nw.LazyFrame:
        """The same rows, worked out once, for a plan that uses them several times."""
        return nw.from_native(frame.to_native().collect(engine="streaming").lazy())


def _parsed(text: pl.Expr, how: Reading) -> pl.Expr:
    match how.dtype:
        case nw.Date():
            return _first_format(how.formats, lambda form: text.str.to_date(form, strict=False))
        case nw.Datetime():
            return _first_format(how.formats, lambda form: _instant(text, form, how.timezone))
        case nw.Decimal():
            return _half_up(_plain_number(text, how.decimal), pl.Decimal(how.dtype.precision, how.dtype.scale))
        case nw.Int64():
            # Spreadsheets and pandas write whole numbers as "6.0".
            return _plain_number(text, how.decimal).str.replace(r"\.0+$", "").cast(pl.Int64, strict=False)
        case nw.String():
            return text
        case _:
            raise TypeError(f"no way to read text as {how.dtype}")


def _plain_number(text: pl.Expr, decimal: str | None) -> pl.Expr:
    """Write a number without marks of thousands and with a decimal point; null where it is written otherwise."""
    if decimal is None:
        return text
    # A sign of a currency stands before the number (after its minus) or behind it.
    text = text.str.replace(r"^([-+]?)\s*[$€£¥]\s*", "${1}").str.replace(r"\s*[$€£¥]$", "")
    group = rf"[{_OTHER_MARK[decimal]} '\u{{a0}}\u{{202f}}\u{{2019}}]"
    is_number = text.str.contains(rf"^[-+]?(\d{{1,3}}({group}\d{{3}})+|\d+)?([{decimal}]\d+)?$")
    plain = text.str.replace_all(group, "").str.replace(decimal, ".", literal=True)
    return pl.when(is_number).then(plain)


def _half_up(text: pl.Expr, dtype: pl.Decimal) -> pl.Expr:
    # By itself Polars reads "0.125" as 0.12, the even cent; amounts are rounded half up, on every engine.
    exact = text.cast(pl.Decimal(_MOST_DIGITS, dtype.scale + _GUARD_DIGITS), strict=False)
    return exact.round(dtype.scale, mode="half_away_from_zero").cast(dtype, strict=False)


def _first_format(formats: Sequence[str], read: Callable[[str], pl.Expr]) -> pl.Expr:
    return pl.coalesce(read(form) for form in formats)


def _instant(text: pl.Expr, form: str, timezone: str) -> pl.Expr:
    local = text.str.to_datetime(form, time_unit="us", strict=False)
    # An hour that the clock shows twice is taken as the first; one that it skips was never shown, so cannot be read.
    aware = local.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return aware.dt.convert_time_zone("UTC")


def _hashed(columns: Sequence[str]) -> pl.Expr:
    first, *others = columns
    parts = [pl.col(first), *(pl.col(name).fill_null("") for name in others)]
    joined = pl.concat_str(parts, separator=KEY_SEPARATOR)
    digest = polars_hash.NonCryptographicHashingNameSpace(joined).md5()
    # 63 bits: three of the first hexadecimal digit, sixty of the next fifteen (Int64 holds no more).
    high = digest.str.slice(0, 1).str.to_integer(base=_HEX) % 8
    low = digest.str.slice(1, 15).str.to_integer(base=_HEX)
    return high * 2**60 + low
