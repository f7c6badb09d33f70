"""Make pictures that a reader can turn: a drawing, a sentence and a table for each state of some controls.

A picture is a function of its state. It is called for every state when it is shown, so all that a reader can turn to
has been worked out by the code that the book tests, and the script in `picture.js` computes nothing: it exchanges what
differs. What does not depend on a control is kept once.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib.resources import files
from math import prod
from typing import Any

from flopbook import checks
from flopbook.checks import quoted
from flopbook.drawing.controls import Control
from flopbook.drawing.svg import STYLE, WIDTH
from flopbook.tables import Table

#: MIME type of a picture.
PICTURE = "application/vnd.flopbook.picture+json"

_MOST = 4096  # states that are worked out in about a second
_NOTHING = {"svg": "<g/>", "rows": "<tr hidden></tr>", "said": ""}  # where another state has something

_NUMBER = re.compile(r"(\d+(?:[.,]\d+)*)")
_SENTENCE_END = re.compile(r"(?<=[.:?] )")

Parts = dict[str, list[str]]


@dataclass(frozen=True)
class Frame:
    """Holds what a picture shows in one state.

    Attributes
    ----------
    shapes : sequence of str
        SVG, as :mod:`flopbook.drawing.svg` writes it. What stands at one place in two states turns from one into the
        other, so give what is the same the same place.
    sentence : str
        What there is to see, and what it teaches.
    table : Table
        The same in numbers.
    """

    shapes: Sequence[str]
    sentence: str
    table: Table


@dataclass(frozen=True, repr=False)
class Picture:
    """Shows a frame for each state of its controls.

    Parameters
    ----------
    name, title : str
        Unique on its page, such as ``multiply-adds``, and what it shows.
    height : float
        Units that the drawing is high; it is 440 wide.
    draw : callable
        Returns the `Frame` of a state. It is given the value of each control by its name.
    controls : sequence of Control
        What a reader can set.

    Raises
    ------
    TypeError
        If `draw` cannot be called, or a name or title is not text.
    ValueError
        If two controls have one name, or all their values together make more than 4,096 states.

    Examples
    --------
    >>> from flopbook.drawing.controls import Slider
    >>> from flopbook.drawing.svg import rect
    >>> def draw(B):
    ...     flops = 2 * B * 3 * 5
    ...     return Frame([rect(0, 0, B, 10)], f"{flops} FLOPs for {B} rows.", Table(["FLOPs"], [(flops,)], labels=0))
    >>> picture = Picture("rows", "The FLOPs of some rows", 10, draw, [Slider("B", "B, rows", [1, 2, 4])])
    >>> picture
    The FLOPs of some rows. 30 FLOPs for 1 rows.
    FLOPs
       30
    >>> picture.frame(B=4).sentence
    '120 FLOPs for 4 rows.'
    """

    name: str
    title: str
    height: float
    draw: Callable[..., Frame]
    controls: Sequence[Control] = ()

    def __post_init__(self):
        for what in ("name", "title"):
            checks.text(what, getattr(self, what))
        checks.function(self.draw, "a function of the controls that returns a Frame")
        names = [control.name for control in self.controls]
        if len(set(names)) < len(names):
            raise ValueError(f"two controls are called alike: {', '.join(names)}: give each its own name")
        if (states := prod(len(control.values) for control in self.controls)) > _MOST:
            raise ValueError(
                f"{self.name} has {states:,} states, and at most {_MOST:,} fit on a page: give fewer values"
            )

    def frame(self, **state: object) -> Frame:
        """Return the frame of a state; what is left out is as at first.

        Raises
        ------
        ValueError
            If there is no such control, or it has no such value.
        """
        known = {control.name: control for control in self.controls}
        for name, value in state.items():
            checks.one_of("control", name, known)
            if value not in known[name].values:
                raise ValueError(f"{name}={quoted(value)} cannot be set: give one of {quoted(known[name].values)}")
        return self.draw(**{name: control.values[control.first] for name, control in known.items()} | state)

    @cached_property
    def frames(self) -> list[Frame]:
        """Return the frames of all states; the values of the last control change first."""
        names = [control.name for control in self.controls]
        states = itertools.product(*(control.values for control in self.controls))
        return [self.draw(**dict(zip(names, state, strict=True))) for state in states]

    @cached_property
    def data(self) -> dict[str, Any]:
        """Return what `picture.js` needs: the controls, and each part that changes.

        A piece holds the controls that it depends on by number, its texts, and which of them belongs to each state of
        these controls. A part has its place in the picture, and what it is put together from: pieces by number, and
        text that never changes.
        """
        pieces: dict[str, int] = {}  # of several parts with the same numbers, one is kept

        def place_of(piece: list[Any]) -> int:
            return pieces.setdefault(json.dumps(piece, ensure_ascii=False), len(pieces))

        parts = [
            [place, number, [piece if isinstance(piece, str) else place_of(piece) for piece in changing]]
            for place, number, changing in self._changing()
        ]
        return {
            "controls": [[control.name, control.keys, control.texts, control.first] for control in self.controls],
            "pieces": [json.loads(piece) for piece in pieces],
            "parts": parts,
        }

    def _changing(self) -> Iterator[tuple[str, int, list[str | list[Any]]]]:
        parts = [_parts(frame) for frame in self.frames]
        lengths = {axis: len(control.values) for axis, control in enumerate(self.controls)}
        for place, nothing in _NOTHING.items():
            by_number = itertools.zip_longest(*(part[place] for part in parts), fillvalue=nothing)
            for number, texts in enumerate(by_number):
                axes, needed = _needed(texts, lengths)
                if axes:
                    yield place, number, _joined(_piece(piece, axes) for piece in _split(needed))

    def html(self, more: str = "") -> str:
        """Write the picture as HTML, with the frame of the first state.

        Parameters
        ----------
        more : str
            Further attributes of the `<figure>`.
        """
        frame, identity = self.frame(), f"picture-{escape(self.name)}"
        rows = max(len(frame.table.rows) for frame in self.frames) - len(frame.table.rows)
        shapes = max(len(frame.shapes) for frame in self.frames) - len(frame.shapes)
        table = frame.table.html.replace("</tbody></table>", _NOTHING["rows"] * rows + "</tbody></table>")
        controls = "".join(f"<p>{control.html(f'{identity}-{escape(control.name)}')}</p>" for control in self.controls)
        data = json.dumps(self.data, ensure_ascii=False, separators=(",", ":")).replace("<", r"\u003c")
        return (
            f'<figure class="picture" id="{identity}" role="group" aria-label="Picture: {escape(self.title)}"{more}>'
            f'<div class="controls">{controls}</div>'
            f'<svg class="drawing" viewBox="0 0 {WIDTH} {self.height:g}" aria-hidden="true" '
            f'xmlns="http://www.w3.org/2000/svg"><style>{STYLE}</style>'
            f"{''.join(frame.shapes)}{_NOTHING['svg'] * shapes}</svg>"
            f'<figcaption><span role="status">{escape(frame.sentence, quote=False)}</span></figcaption>'
            f"<details><summary>The numbers in a table</summary>{table}</details>"
            f'<p class="tools"><span role="status"></span></p>'
            f'<script type="application/json">{data}</script></figure>'
        )

    def __repr__(self) -> str:
        frame = self.frame()
        return f"{self.title}. {frame.sentence}\n{frame.table}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Mapping[str, object]:
        here = files("flopbook.drawing")  # which is in an archive where a live cell runs
        style, script = (here.joinpath(f"picture.{kind}").read_text("utf-8") for kind in ("css", "js"))
        return {
            PICTURE: {"name": self.name, "html": self.html(" data-address")},
            "text/html": f"<style>{style}</style>{self.html()}<script>{script}</script>",
            "text/plain": repr(self),
        }


def _parts(frame: Frame) -> Parts:
    """Return all that can change of a frame, by the places of `picture.js`."""
    return {"svg": list(frame.shapes), "rows": frame.table.html_rows, "said": [frame.sentence]}


def _split(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split texts into sentences, and these at their numbers, so that each piece depends on few controls.

    >>> list(_split(["x=10 y=3", "x=10 y=45"]))
    [('x=', 'x='), ('10', '10'), (' y=', ' y='), ('3', '45'), ('', '')]

    Sentences with different numbers of numbers stay whole.
    """
    for sentences in itertools.zip_longest(*map(_SENTENCE_END.split, texts), fillvalue=""):
        split = [_NUMBER.split(sentence) for sentence in sentences]
        if len(set(map(len, split))) == 1:
            yield from zip(*split, strict=True)
        else:
            yield sentences


def _piece(texts: Sequence[str], lengths: dict[int, int]) -> str | list[Any]:
    """Return a text that never changes, or the controls that it depends on, with its values."""
    axes, needed = _needed(texts, lengths)
    places = {text: place for place, text in enumerate(dict.fromkeys(needed))}
    return [list(axes), list(places), [places[text] for text in needed]] if axes else texts[0]


def _joined(pieces: Iterable[str | list[Any]]) -> list[str | list[Any]]:
    """Make one text of those that stand side by side.

    >>> _joined(["x=", "10", " y=", [[0], ["3", "45"], [0, 1]], ""])
    ['x=10 y=', [[0], ['3', '45'], [0, 1]]]
    """
    joined: list[str | list[Any]] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece:
            joined.append(piece)
    return joined


def _needed(texts: Sequence[str], lengths: dict[int, int]) -> tuple[dict[int, int], Sequence[str]]:
    """Find the controls that a part depends on, and its texts over the states of these alone.

    >>> _needed(["a", "a", "b", "b"], {0: 2, 1: 2})
    ({0: 2}, ['a', 'b'])
    """
    if texts.count(texts[0]) == len(texts):  # as most are
        return {}, texts[:1]
    needed = dict(lengths)
    step = 1  # how far apart two values of a control are
    for axis, length in reversed(lengths.items()):
        steps = [texts[start : start + step] for start in range(0, len(texts), step)]
        if all(steps[value::length] == steps[::length] for value in range(1, length)):
            texts = list(itertools.chain.from_iterable(steps[::length]))
            del needed[axis]
        else:
            step *= length
    return needed, texts
