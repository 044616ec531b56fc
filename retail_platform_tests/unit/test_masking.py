"""Personal data, masked."""

from collections.abc import Callable

import narwhals as nw
import polars as pl
import pytest

from retail_platform.transforms.masking import mask_email, mask_name, mask_phone


@pytest.mark.parametrize(
    ("mask", "plain", "masked"),
    [
        (mask_name, "Sarah Johnson", "S*** J***"),
        (mask_name, "José  Ñandú-Peña", "J***  Ñ***"),
        (mask_name, "Q", "Q***"),
        (mask_name, None, None),
        (mask_email, "sarah.j@email.com", "s***@email.com"),
        (mask_email, "é@ß.de", "é***@ß.de"),
        (mask_email, "call me", "***"),
        (mask_email, "@email.com", "***"),
        (mask_email, "sarah@home@email.com", "***"),
        (mask_email, "sarah@\nemail.com", "***"),
        (mask_email, "sarah j@email.com", "***"),
        (mask_email, None, None),
        (mask_phone, "(555) 123-4567", "***67"),
        (mask_phone, "ask Ann", "***"),
        (mask_phone, None, None),
    ],
)
def test_shows_enough_to_recognise_and_too_little_to_reach(
    mask: Callable[[str], nw.Expr], plain: str | None, masked: str | None
):
    frame = nw.from_native(pl.DataFrame({"x": [plain]}, schema={"x": pl.String}))
    assert frame.select(x=mask("x")).to_native()["x"].to_list() == [masked]
