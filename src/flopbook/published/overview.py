"""Show published models side by side: what a token takes, and behind each name its formula and its witnesses."""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from typing import Any
from urllib.parse import urlencode

import sympy
from sympy import Expr
from sympy.printing.mathml import mathml

from flopbook.published.letters import LETTERS
from flopbook.published.models import Named
from flopbook.published.network import Network
from flopbook.published.on_paper import READERS
from flopbook.tables import Cell, Styled, Table
from flopbook.units import plain

__all__ = ["LENGTHS", "Overview", "for_a_sample", "for_a_token", "per_token", "reads_on", "sample"]

#: Tokens of a text, at which its models are compared; the first is shown unless another is chosen.
LENGTHS = (8192, 1024, 32768, 131072)
#: What a sample has that a model leaves open: tokens that are read and written, and an image.
_SAMPLE = {"T": 512, "U": 128, "Ih": 224, "Iw": 224}
#: Tokens of a text beside which a U-Net takes noise from an image: those that CLIP knows.
_CAPTION = 77
_LONGEST_MATH = 120  # characters of a formula as code
_GIGA, _KILO = 10**9, 1000
#: Of the numbers of a cell, shows the one whose length is chosen, wherever the table stands.
_STYLE = ".sortable data:not(:only-of-type) { display: none }" + "".join(
    f".sortable:has(label:nth-of-type({n}) input:checked) data:nth-of-type({n}) {{ display: inline }}"
    for n in range(1, len(LENGTHS) + 1)
)


def reads_on(network: Network) -> bool:
    """Tell whether a model reads a text from left to right, and so has a cost for each token.

    Examples
    --------
    >>> from flopbook.published import named
    >>> reads_on(named("GPT-2").network), reads_on(named("BERT base").network)
    (True, False)
    """
    return network.free == ("B", "T") and network.cache != 0 and not any(part.once for part in network.parts)


def per_token(network: Network, length: int) -> tuple[Fraction, Fraction, Fraction] | None:
    """Work out what a token takes in training, and what it leaves: None, where a text is too long for the model.

    Parameters
    ----------
    network : Network
        That reads a text from left to right.
    length : int
        Tokens of the text.

    Returns
    -------
    tuple of Fraction
        FLOPs of a training step for a token, dense and needed, and the bytes of its cache in 16 bits, all averages.

    Examples
    --------
    >>> from flopbook.published import named
    >>> dense, needed, cache = per_token(named("Llama 3 8B").network, 8192)
    >>> round(dense), round(needed), cache
    (57912852480, 51471187968, Fraction(131072, 1))
    """
    if length > network.sizes.get("P", length):
        return None
    steps = (network.step(B=1, T=length, needed=needed) for needed in (False, True))
    cache = 2 * int(network.at(network.cache, T=length))
    dense, needed = (Fraction(step, length) for step in steps)
    return dense, needed, Fraction(cache, length)


def sample(network: Network) -> tuple[str, dict[str, int]]:
    """Say in words and in sizes what one sample of a model is.

    Examples
    --------
    >>> from flopbook.published import named
    >>> sample(named("BERT base").network)
    ('512 tokens', {'B': 1, 'T': 512})
    """
    most = _CAPTION if "Dc" in network.sizes else network.sizes.get("P", _SAMPLE["T"])
    known = {**_SAMPLE, "T": min(_SAMPLE["T"], most)}
    sizes = {"B": 1, **{letter: known[letter] for letter in network.free if letter != "B"}}
    every = {**network.sizes, **sizes}
    words = []
    if {"Ih", "Iw"} <= every.keys():
        words.append(f"an image of {every['Ih']} × {every['Iw']} × {every['Ci']}")
    if "A" in every:
        words.append(f"{every['A']:,} moments of sound")
    if "T" in sizes:
        words.append(f"{sizes['T']} tokens")
    if "U" in sizes:
        words.append(f"{sizes['U']} written")
    return ", ".join(words) or "a sample", sizes


@dataclass(frozen=True)
class Overview:
    """Shows models as a table, made by :func:`for_a_token` or :func:`for_a_sample`; each name opens what is known.

    Attributes
    ----------
    table : Table
        A row for each model.
    lengths : sequence of int
        The tokens of a text that one can choose; none, where there is nothing to choose.
    """

    table: Table
    lengths: Sequence[int] = ()

    def __repr__(self) -> str:
        return self.table.text

    def _repr_html_(self) -> str:
        ticks = "".join(map(_tick, self.lengths))
        choice = (
            f"<style>{_STYLE}</style><fieldset><legend>Tokens of a text</legend>{ticks}</fieldset>" if ticks else ""
        )
        return f'<div class="sortable">{choice}{self.table.html}</div>'


def for_a_token(models: Sequence[Named], record: Mapping[str, Any], planned: Collection[str] = ()) -> Overview:
    """Compare models that read a text from left to right, by the token.

    Parameters
    ----------
    models : sequence of Named
        The rows.
    record : mapping
        What the library's models have and run, as `reference/data/published.json` holds it.
    planned : collection of str
        The names of those that the whole-model calculator knows.
    """
    lengths = sorted(LENGTHS)
    rows: list[Sequence[Cell]] = []
    for model in models:
        network = model.network
        at = [per_token(network, length) for length in lengths]
        units = (_GIGA, _GIGA, _KILO)
        found = [_each([each and each[n] / unit for each in at]) for n, unit in enumerate(units)]
        rows.append((_card(model, record, planned), network.architecture, *_parameters(network), *found))
    head = (
        "Model", "Architecture", "Parameters, 10⁹", "Active, 10⁹", "Dense, GFLOPs", "Needed, GFLOPs", "Cache, kB",
    )  # fmt: skip
    caption = "A training step for each token, and the keys, values and states that it leaves, in 16 bits"
    return Overview(Table(head, rows, caption), lengths)


def for_a_sample(models: Sequence[Named], record: Mapping[str, Any]) -> Overview:
    """Compare models whose texts, images or sounds are read as a whole, by the sample.

    Parameters
    ----------
    models : sequence of Named
        The rows.
    record : mapping
        What the library's models have and run, as `reference/data/published.json` holds it.
    """
    rows: list[Sequence[Cell]] = []
    for model in models:
        network = model.network
        words, sizes = sample(network)
        steps = (_number(Fraction(network.step(needed=needed, **sizes), _GIGA)) for needed in (False, True))
        rows.append((_card(model, record), network.architecture, _parameters(network)[0], words, *steps))
    head = ("Model", "Architecture", "Parameters, 10⁹", "A sample", "Dense, GFLOPs", "Needed, GFLOPs")
    return Overview(Table(head, rows, "A training step for each sample"))


def _parameters(network: Network) -> tuple[Cell, Cell]:
    return _number(Fraction(network.parameters, _GIGA)), _number(Fraction(network.active, _GIGA))


def _number(value: Fraction | None) -> Styled:
    """Write a number for people, and exactly for what sorts it."""
    if value is None:
        return Styled("—", '<data value="">—</data>')
    return Styled(plain(float(value)), f'<data value="{float(value)!r}">{plain(float(value))}</data>')


def _each(values: Sequence[Fraction | None]) -> Styled:
    """Write a number for each length; the page shows one of them."""
    cells = [_number(value) for value in values]
    shown = cells[sorted(LENGTHS).index(LENGTHS[0])]
    return Styled(shown.text, "".join(cell.html for cell in cells))


def _tick(length: int) -> str:
    checked = " checked" if length == LENGTHS[0] else ""
    return f'<label><input type="radio" name="tokens-of-a-text"{checked}> {length:,}</label>'


def _card(model: Named, record: Mapping[str, Any], planned: Collection[str] = ()) -> Styled:
    """Make the name a button that opens what is known of the model."""
    identity = "model-" + re.sub(r"[^a-z0-9]+", "-", model.name.lower()).strip("-")
    name, architecture = escape(model.name), escape(model.network.architecture)
    parts = "".join(_known(model, record, planned))
    return Styled(
        model.name,
        f'<button type="button" popovertarget="{identity}">{name}</button>'
        f'<div popover id="{identity}"><p><strong>{name}</strong> ({architecture})</p>{parts}</div>',
    )


def _known(model: Named, record: Mapping[str, Any], planned: Collection[str]) -> Iterator[str]:
    network = model.network
    yield f"<p>{escape(_set_apart(network.architecture))}</p>"
    yield "<dl>"
    yield f"<dt>Parameters</dt><dd>{network.parameters:,} = {_formula(network.dense.parameters)}</dd>"
    for what, of in (("dense", network.dense), ("needed", network.needed)):
        yield f"<dt>FLOPs forward, {what}</dt><dd>{_formula(of.forward)}</dd>"
    if network.cache != 0:
        yield f"<dt>Numbers that T tokens leave</dt><dd>{_formula(network.cache)}</dd>"
    yield "<dt>Sizes</dt><dd><ul>"
    for letter, size in network.sizes.items():
        yield f"<li><var>{letter}</var> = {size:,}: {escape(LETTERS[letter])}</li>"
    yield "</ul></dd>"
    yield f"<dt>Witness</dt><dd>{_witnesses(model, record)}</dd>"
    if said := "; ".join(f"{what}: {words}" for what, words in model.published.items() if what != "source"):
        source = f" ({_links(model.published['source'])})" if "source" in model.published else ""
        yield f"<dt>Its makers say</dt><dd>{escape(said)}{source}</dd>"
    yield f"<dt>Configuration</dt><dd>{_links(model.source)}</dd></dl>"
    if model.name in planned:
        address = f"calculator.html?{urlencode({'model.model': model.name})}#calculator-model"
        yield f'<p><a href="{escape(address)}">Plan a training in the calculator</a></p>'
    yield f"<pre>flopbook models {escape(shlex.quote(model.name))}</pre>"


def _set_apart(architecture: str) -> str:
    """Say what sets an architecture apart, as its reader does."""
    said = " ".join((READERS[architecture].__doc__ or "").partition("\n\n")[0].split()).removeprefix("Read ")
    return said[:1].upper() + said[1:]


def _formula(expression: Expr) -> str:
    """Set a formula as mathematics, a long one as code."""
    expanded = sympy.expand(expression)
    short = min((expanded, sympy.factor_terms(expanded)), key=sympy.count_ops)
    if len(str(short)) <= _LONGEST_MATH:
        return f"<math>{mathml(short, printer='presentation')}</math>"
    return f"<code>{escape(str(short)).replace(' + ', ' +<wbr> ')}</code>"


def _witnesses(model: Named, record: Mapping[str, Any]) -> str:
    """Say what the library counted, and whether it is what is on paper."""
    counted = record["models"].get(model.name)
    if counted is None:
        return "not yet asked"
    if "fails" in counted:
        return f"the library does not run it: {escape(counted['fails'])}"
    network, sizes = model.network, counted["sizes"]
    on_paper = (network.parameters, network.forward(**sizes), network.backward(**sizes))
    words = "as on paper" if on_paper == tuple(counted[each] for each in _COUNTED) else "not as on paper"
    at = ", ".join(f"{letter} = {size}" for letter, size in sizes.items())
    library = "diffusers" if "_class_name" in model.config else "transformers"
    said = (
        f"{library} {record[library]} on torch {record['torch']} has {counted['parameters']:,} parameters, and runs "
        f"{counted['forward']:,} FLOPs forward and {counted['backward']:,} backward at {at}: {words}"
    )
    traced = record["traced"].get(network.architecture, {})
    return said + (". Run on letters, it writes this formula itself." if "forward" in traced else "")


_COUNTED = ("parameters", "forward", "backward")


def _links(text: str) -> str:
    """Make links of the addresses in a text."""
    parts = re.split(r"(https?://[^\s),;]+)", text)
    return "".join(
        f'<a href="{escape(part)}">{escape(part.partition("//")[2].partition("/")[0])}</a>' if n % 2 else escape(part)
        for n, part in enumerate(parts)
    )
