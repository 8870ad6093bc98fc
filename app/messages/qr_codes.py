"""QR codes of short links: as SVG and as PNG, dark on white whatever the page's colours are."""

import io

import segno

BORDER = 4  # modules: a reader needs so much of a quiet zone


def svg(url: str, size: int) -> bytes:
    """A drawing, ``size`` pixels wide unless it is scaled."""
    code = segno.make(url, error="m", micro=False)
    out = io.BytesIO()
    scale = size / code.symbol_size(border=BORDER)[0]
    code.save(out, kind="svg", scale=scale, border=BORDER, light="#fff", xmldecl=False, nl=False)
    return out.getvalue()


def png(url: str, size: int) -> bytes:
    """A picture of at most ``size`` pixels: each module is a whole number of them, or it would
    be blurred."""
    code = segno.make(url, error="m", micro=False)
    out = io.BytesIO()
    scale = max(1, size // code.symbol_size(border=BORDER)[0])
    code.save(out, kind="png", scale=scale, border=BORDER)
    return out.getvalue()
