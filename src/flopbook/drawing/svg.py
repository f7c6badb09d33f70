"""Write the shapes of a drawing as SVG, coloured by what they mean."""

from functools import cache
from html import escape
from math import hypot

from flopbook.colours import MEANINGS

#: Units that a drawing is wide. A phone shows a unit as 0.8 pixels, a wide screen as 1.4.
WIDTH = 440

#: What a drawing needs to look right wherever it is, also as a file of its own.
STYLE = "".join(
    [
        # on the whole drawing, so that an attribute of a shape counts for more
        "svg.drawing{fill:none;fill-opacity:.3;font:12px system-ui,sans-serif;stroke:currentColor;stroke-width:1.2}",
        "svg.drawing text{dominant-baseline:middle;fill:currentColor;fill-opacity:1;stroke:none;text-anchor:middle}",
        "svg.drawing .start{text-anchor:start}svg.drawing .end{text-anchor:end}",
        "svg.drawing .strong{font-weight:bold}svg.drawing .code{font-family:monospace}",
        *(
            f"svg.drawing .{name}{{fill:var(--{name},{colour});stroke:var(--{name},{colour})}}"
            for name, colour in MEANINGS.items()
        ),
        "svg.drawing .line{fill:none}",
        "svg.drawing .faint{opacity:.35}",
        "svg.drawing .full{fill-opacity:1}",
        "svg.drawing .left-out{fill:none;stroke:#808080;stroke-dasharray:3 3}",
        "svg.drawing [data-set]{cursor:pointer}",
        "svg.drawing .handle{fill:transparent;stroke:none}",
    ]
)


def element(tag: str, text: str = "", /, **attributes: object) -> str:
    """Write one element; an underscore in the name of an attribute is a hyphen, `kind` its class.

    Parameters
    ----------
    tag : str
        Such as ``rect``.
    text : str
        What the element says.
    **attributes : object
        Numbers are rounded to a hundredth of a unit.

    Examples
    --------
    >>> element("rect", x=0, y=1.23456, width=4, height=4, kind="forward")
    '<rect x="0" y="1.23" width="4" height="4" class="forward"/>'
    >>> element("text", "a < b", x=1, y=2)
    '<text x="1" y="2">a &lt; b</text>'
    """
    written = "".join([f' {_hyphenated(name)}="{_short(value)}"' for name, value in attributes.items() if value != ""])
    return f"<{tag}{written}>{escape(text, quote=False)}</{tag}>" if text else f"<{tag}{written}/>"


@cache
def _hyphenated(name: str) -> str:
    return "class" if name == "kind" else name.replace("_", "-")


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value) if isinstance(value, int) else escape(str(value))


def rect(x: float | str, y: float, width: float | str, height: float, kind: str = "", **more: object) -> str:
    """Write a rectangle by its upper left corner; left and width are units, or shares such as `23.5%`.

    Examples
    --------
    >>> rect(0, 0, 10, 5, "bytes", data_set="step=3")
    '<rect x="0" y="0" width="10" height="5" class="bytes" data-set="step=3"/>'
    """
    return element("rect", x=x, y=y, width=width, height=height, kind=kind, **more)


def line(x1: float | str, y1: float, x2: float | str, y2: float, kind: str = "", **more: object) -> str:
    """Write a straight line.

    Examples
    --------
    >>> line(0, 0, 10, 5, "backward", stroke_width=3)
    '<line x1="0" y1="0" x2="10" y2="5" class="backward" stroke-width="3"/>'
    """
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, kind=kind, **more)


def path(*points: tuple[float, float], kind: str = "", closed: bool = True, **more: object) -> str:
    """Write a polygon, or an open line through some points.

    Examples
    --------
    >>> path((0, 0), (4, 0), (4, 3))
    '<path d="M0 0L4 0L4 3Z"/>'
    >>> path((0, 0), (4, 3), kind="forward", closed=False)
    '<path d="M0 0L4 3" class="forward line"/>'
    """
    drawn = "L".join(f"{_short(float(x))} {_short(float(y))}" for x, y in points)
    return element("path", d=f"M{drawn}{'Z' * closed}", kind=kind if closed else f"{kind} line".strip(), **more)


def words(x: float, y: float, text: str, kind: str = "", **more: object) -> str:
    """Write text around a point; of the kind `start` or `end`, to its right or left.

    Examples
    --------
    >>> words(4, 2, "2BDK", "start")
    '<text x="4" y="2" class="start">2BDK</text>'
    """
    return element("text", text, x=x, y=y, kind=kind, **more)


def arrow(start: tuple[float, float], end: tuple[float, float], width: float, kind: str = "") -> str:
    """Write a straight arrow of some width from one point to another.

    Examples
    --------
    >>> arrow((0, 0), (20, 0), 2, "forward")
    '<path d="M0 1L14 1L14 4L20 0L14 -4L14 -1L0 -1Z" class="forward"/>'
    """
    (x, y), (to_x, to_y) = start, end
    length = hypot(to_x - x, to_y - y)
    head = min(length, width / 2 + 5)
    along = ((to_x - x) / length, (to_y - y) / length)
    outline = [
        (0, width / 2),
        (length - head, width / 2),
        (length - head, width / 2 + 3),
        (length, 0.0),
        (length - head, -width / 2 - 3),
        (length - head, -width / 2),
        (0, -width / 2),
    ]
    points = ((x + far * along[0] - off * along[1], y + far * along[1] + off * along[0]) for far, off in outline)
    return path(*points, kind=kind)
