"""Leave the fields of a named tuple to its docstring, on the API page."""

from typing import Any

from sphinx.application import Sphinx


def _skip(app: Sphinx, what: str, name: str, member: Any, *others: Any) -> bool | None:
    """Skip what Python documents as an alias for a field; leave the rest to autodoc."""
    return True if str(member.__doc__).startswith("Alias for field number") else None


def setup(app: Sphinx) -> None:
    """Register with autodoc."""
    app.setup_extension("sphinx.ext.autodoc")  # it defines the event
    app.connect("autodoc-skip-member", _skip)
