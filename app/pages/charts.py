"""Line charts and bars as SVG, drawn on the server.

DESIGN
------
Small, themed by the page's style sheet, and as wide as there is room: the outer picture has no
view box, so places are per cent and text keeps its size on a phone, on paper and on a desk; only
the line itself is in an inner one, stretched, with strokes that are not. No style and no script
stands in it, which the page's policy would refuse. A picture is for eyes: the figures stand in a
table beside it, and each step says its own when pointed at. Decision 16 says why no library.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10
from typing import Final

from markupsafe import Markup, escape

GRID_LINES: Final = 4
TICKS: Final = 7
# Every second of them goes where there is no room: see `.minor` in the style sheet.
MINOR: Final = 2


@dataclass(frozen=True, slots=True)
class Point:
    """A step of time: its name on the axis, what it says when pointed at, and its number."""

    name: str
    says: str
    value: int


def line(points: Sequence[Point], before: Sequence[int] = (), *, labelled_by: str) -> Markup:
    """A line with the area below it, and a dashed one of the period before."""
    before = before[: len(points)]
    step, top = scale(max([0, *(point.value for point in points), *before]))
    parts = [_grid(step, top), _ticks(points)]
    lines = []
    if points:
        path = _path([point.value for point in points], top, len(points))
        first, last = (f"{_x(place, len(points)):.2f}" for place in (0, len(points) - 1))
        lines.append(f'<path class="area" d="{path}L{last} 100L{first} 100Z"/>')
        if before:
            lines.append(f'<path class="before" d="{_path(before, top, len(points))}"/>')
        lines.append(f'<path class="now" d="{path}"/>')
    parts.append(
        '<svg x="0" y="8%" width="100%" height="80%" viewBox="0 0 100 100" '
        f'preserveAspectRatio="none">{"".join(lines)}</svg>'
    )
    if len(points) == 1:  # a line of one step is none
        y = 88 - 80 * points[0].value / top
        parts.append(f'<circle class="only" cx="50%" cy="{y:.2f}%" r="4"/>')
    parts.append(_targets(points))
    return Markup(  # noqa: S704 - our own elements; words are escaped
        f'<svg class="chart" role="img" aria-labelledby="{escape(labelled_by)}">{"".join(parts)}</svg>'
    )


def bar(value: int, most: int) -> Markup:
    """A bar of this part of the longest one."""
    width = 100 * value / most if most else 0
    return Markup(  # noqa: S704 - numbers alone
        '<svg class="bar" aria-hidden="true" focusable="false">'
        f'<rect width="{max(width, 0.5):.1f}%" height="100%" rx="3"/></svg>'
    )


def scale(most: int) -> tuple[int, int]:
    """The step between grid lines, a round number, and the top line's number."""
    least = max(1, most) / GRID_LINES
    power = 10 ** max(0, ceil(log10(least)) - 1)
    rounds = (1, 2, 3, 5, 10) if power == 1 else (1, 2, 2.5, 5, 10)
    step = next(int(each * power) for each in rounds if each * power >= least)
    return step, step * ceil(max(1, most) / step)


def _grid(step: int, top: int) -> str:
    lines = []
    for value in range(0, top + 1, step):
        y = 88 - 80 * value / top
        lines.append(f'<line class="grid" x1="0" x2="100%" y1="{y:.2f}%" y2="{y:.2f}%"/>')
        if value:
            # Left of the picture, where the style sheet leaves room.
            lines.append(f'<text class="scale" y="{y:.2f}%" dx="-8" dy="4">{_short(value)}</text>')
    return "".join(lines)


def _short(value: int) -> str:
    for least, unit in ((10**6, "M"), (10**4, "K")):
        if value >= least:
            return f"{value / (10**6 if unit == 'M' else 10**3):g}{unit}"
    return f"{value:,}"


def _ticks(points: Sequence[Point]) -> str:
    """The names of some steps below the line, evenly apart, the first one at its start."""
    every = max(1, ceil(len(points) / TICKS))
    words = []
    for number, place in enumerate(range(0, len(points), every)):
        x = _x(place, len(points))
        # At the edges the words would be cut off.
        anchor = "start" if x < 5 else "end" if x > 95 else "middle"  # noqa: PLR2004 - per cent
        minor = " minor" if number % MINOR else ""
        words.append(
            f'<text class="tick{minor}" x="{x:.2f}%" y="98%" text-anchor="{anchor}">'
            f"{escape(points[place].name)}</text>"
        )
    return "".join(words)


def _targets(points: Sequence[Point]) -> str:
    """What to point at: a strip for each step."""
    width = 100 / max(1, len(points))
    return "".join(
        f'<rect class="target" x="{width * place:.2f}%" y="0" width="{width:.2f}%" height="88%">'
        f"<title>{escape(point.says)}</title></rect>"
        for place, point in enumerate(points)
    )


def _path(values: Sequence[int], top: int, length: int) -> str:
    return "M" + "L".join(
        f"{_x(place, length):.2f} {100 - 100 * value / top:.2f}"
        for place, value in enumerate(values)
    )


def _x(place: int, length: int) -> float:
    """In the middle of its strip, in per cent."""
    return 100 * (place + 0.5) / max(1, length)
