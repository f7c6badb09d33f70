"""Write the form in which a reader answers an exercise."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from flopbook.teaching.output import NUMBER_READER

#: MIME type of an exercise's form for the site, which checks answers without Python.
FORM = "application/vnd.flopbook.exercise+json"

#: The scripts of forms, in the order in which they build on each other.
SCRIPTS = (*NUMBER_READER, "checking.js", "forms.js")
STYLES = ("panel.css", "exercises.css")

_HTML = """\
<form class="exercise panel" id="{id}" data-form="{form}">
{fields}
<div role="status" id="{id}-verdict">{verdict}</div>
<noscript><p>Nothing is checked here without JavaScript; the notebook of this page checks answers, too.</p></noscript>
</form>
"""
_FIELD = """\
<p class="answer"><label for="{id}">{label}</label>
<input id="{id}" name="{name}" autocomplete="off" autocapitalize="off" spellcheck="false"{more}</p>"""
_BUTTON = "<button>Check</button>"
_VERDICTS = '<datalist id="verdicts"><option value="right"></option><option value="not decidable"></option></datalist>'


def form_html(identity: str, form: Mapping[str, Any], title: str, verdict: str = "") -> str:
    """Return the HTML of an exercise's form.

    Parameters
    ----------
    identity : str
        Unique on the page.
    form : mapping
        What ``checking.js`` needs.
    title : str
        What the field is called for those who cannot see where it stands.
    verdict : str
        HTML of what is said of an answer already.
    """
    fields = "\n".join(_fields(identity, form, title))
    return _HTML.format(id=identity, form=escape(json.dumps(form)), fields=fields, verdict=verdict)


def _fields(identity: str, form: Mapping[str, Any], title: str) -> Iterator[str]:
    """Write a field for the answer, or for each claim of an audit."""
    claims = form.get("claims")
    if claims is None:
        label = f'Your answer<span class="visually-hidden"> to {escape(title)}</span>'
        yield _FIELD.format(id=f"{identity}-answer", name="answer", label=label, more=f">{_BUTTON}")
        return
    for claim in claims:
        yield _FIELD.format(id=f"{identity}-{claim}", name=claim, label=f"Claim {claim}", more=' list="verdicts">')
    yield f"{_VERDICTS}<p>{_BUTTON}</p>"
