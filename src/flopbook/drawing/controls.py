"""Describe what a reader can set in a picture: choices, sliders, steps and ticks."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from flopbook.checks import quoted


@dataclass(frozen=True)
class Control:
    """Holds what a reader can set, and to which values.

    Attributes
    ----------
    name : str
        What `draw` of the picture calls it, and the address of the page.
    label : str
        What the reader sees.
    values : sequence
        All that it can be set to.
    start : object
        What it is set to at first; without it, the first value.
    """

    name: str
    label: str
    values: Sequence[Any] = (False, True)
    start: Any = None

    def __post_init__(self):
        if len(self.values) < 2:
            raise ValueError(f"{self.name} has the values {quoted(self.values)}: give at least two to choose from")
        if self.start is not None and self.start not in self.values:
            raise ValueError(f"{self.name} starts at {quoted(self.start)}: start at one of {quoted(self.values)}")

    @property
    def first(self) -> int:
        """Return the place of the value that it is set to at first."""
        return 0 if self.start is None else list(self.values).index(self.start)

    @property
    def texts(self) -> list[str]:
        """Return each value as the reader reads it."""
        return [f"{value:,}" if isinstance(value, int) else str(value) for value in self.values]

    @property
    def keys(self) -> list[str]:
        """Return each value as an address holds it."""
        return [str(value) for value in self.values]

    def html(self, identity: str) -> str:
        """Write the control as HTML."""
        raise NotImplementedError


class Choice(Control):
    """Lets the reader pick one of several names.

    Examples
    --------
    >>> Choice("model", "Model", ["GPT-2", "Llama 3 8B"]).keys
    ['GPT-2', 'Llama 3 8B']
    """

    def html(self, identity: str) -> str:
        options = "".join(
            f"<option{' selected' * (place == self.first)}>{escape(text)}</option>"
            for place, text in enumerate(self.texts)
        )
        return (
            f'<label for="{identity}">{escape(self.label)}</label> '
            f'<select id="{identity}" data-control="{escape(self.name)}">{options}</select>'
        )


class Slider(Control):
    """Lets the reader slide along values in order.

    Examples
    --------
    >>> Slider("T", "T, tokens of a sequence", [128, 1024, 8192], start=1024).texts
    ['128', '1,024', '8,192']
    """

    def html(self, identity: str) -> str:
        return (
            f'<label for="{identity}">{escape(self.label)}</label> '
            f'<span><input type="range" id="{identity}" data-control="{escape(self.name)}" min="0" '
            f'max="{len(self.values) - 1}" value="{self.first}" aria-valuetext="{escape(self.texts[self.first])}"> '
            f'<output for="{identity}">{escape(self.texts[self.first])}</output></span>'
        )


class Steps(Slider):
    """Lets the reader step from the first value to the last, or have all played.

    Examples
    --------
    >>> Steps("step", "Multiply-add", range(25)).first
    0
    """

    def html(self, identity: str) -> str:
        return (
            f'<button type="button" data-by="-1" aria-label="{escape(self.label)}: back">‹</button> '
            f"{super().html(identity)} "
            f'<button type="button" data-by="1" aria-label="{escape(self.label)}: on">›</button> '
            '<button type="button" data-play>Play</button>'
        )


class Tick(Control):
    """Lets the reader tick something, or not.

    Examples
    --------
    >>> Tick("frozen", "Freeze the first layer").values
    (False, True)
    """

    def html(self, identity: str) -> str:
        checked = " checked" * self.first
        return (
            f'<input type="checkbox" id="{identity}" data-control="{escape(self.name)}"{checked}> '
            f'<label for="{identity}">{escape(self.label)}</label>'
        )
