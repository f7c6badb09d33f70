"""Put figures into the page itself, in its colours and with text for screen readers."""

import hashlib
import re
from html import escape
from typing import ClassVar

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer

from flopsite.warnings import Kind, warn

SVG = "image/svg+xml"


class FigureRenderer:
    """Renders SVG outputs for myst-nb."""

    mime_priority_overrides: ClassVar = [("html", SVG, 5)]

    @staticmethod
    def handle_mime(renderer: NbElementRenderer, data: MimeData, inline: bool) -> list[nodes.Element] | None:
        """Return the figure inline in the HTML, or None for another kind of output."""
        if data.mime_type != SVG or inline:
            return None
        alt = data.cell_metadata.get("mystnb", {}).get("image", {}).get("alt")
        if not alt:
            message = (
                f"the figure of cell {data.cell_index} has no text for those who cannot see it: "
                "add `mystnb: {image: {alt: ...}}` to the cell"
            )
            warn(Kind.ALT, message, (renderer.renderer.sphinx_env.docname, data.line))
        return [nodes.raw("", inline_svg(data.string, alt or ""), format="html", classes=["figure"])]


def inline_svg(svg: str, alt: str) -> str:
    """Give a drawing a role, a text, unique ids, and the page's colour.

    >>> print(inline_svg('<svg><path id="a" style="stroke: #000000"/></svg>', "A line"))
    <div class="figure"><svg role="img" aria-label="A line"><path id="f...-a" style="stroke: currentColor"/></svg></div>
    """
    prefix = f"f{hashlib.sha256(svg.encode()).hexdigest()[:8]}-"
    body = svg[svg.index("<svg") :].strip()
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r">\s+<", "><", body)
    body = re.sub(r'\bid="', f'id="{prefix}', body)
    body = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}", body)
    body = re.sub(r"#000000\b", "currentColor", body)
    body = body.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
    return f'<div class="figure">{body}</div>'
