"""Put HTML with its styles and scripts into one output, which works in any notebook as it does on the site."""

from collections.abc import Sequence
from importlib.resources import files

#: The scripts that read a formula or a number, in the order in which they build on each other.
NUMBER_READER = ("fractions.js", "tokens.js", "reading.js")


def output(html: str, styles: Sequence[str], scripts: Sequence[str]) -> str:
    """Return HTML that needs nothing else.

    Parameters
    ----------
    html : str
        What is shown; it stays readable where no script runs.
    styles : sequence of str
        Names of files in `static`; `notebook.css` is added to them.
    scripts : sequence of str
        Texts of scripts, in the order in which they build on each other.

    Examples
    --------
    >>> output("<p></p>", [], [])[-33:]
    '<p></p><script>{\\n}</script></div>'
    """
    style = "".join(map(static, ["notebook.css", *styles]))
    script = "".join(scripts)
    # In a block, so that a second output of the page can declare the same names.
    return f'<div class="flopbook"><style>{style}</style>{html}<script>{{\n{script}}}</script></div>'


def static(name: str) -> str:
    """Return the text of a file in `static`."""
    return files("flopbook.teaching").joinpath("static", name).read_text("utf-8")
