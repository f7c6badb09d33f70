"""Put a formula in its box, with its conditions and its witnesses."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from html import escape

import sympy

from flopbook import checks
from flopbook.checks import is_number, quoted
from flopbook.predict.values import evaluate

#: MIME type of a boxed formula.
FORMULA = "application/vnd.flopbook.formula+json"

#: The witnesses that can confirm a formula.
WITNESSES = ("counted", "profiled", "traced", "executed")


@dataclass(frozen=True)
class Formula:
    """Holds a confirmed formula, made by :func:`boxed`.

    In a notebook it shows itself as a box; the site collects all boxes in the
    formula index.

    Attributes
    ----------
    name, title : str
        Unique in the book, and what the formula gives.
    expression : sympy.Expr
        Made of axes.
    when : str
        The conditions under which it holds.
    sizes : mapping of str to int
        Where it was measured.
    value : int or Fraction
        What the formula and its witnesses say there.
    witnesses : tuple of str
        Those that confirmed it.
    """

    name: str
    title: str
    expression: sympy.Expr
    when: str
    sizes: Mapping[str, int]
    value: int | Fraction
    witnesses: tuple[str, ...]

    @property
    def _sizes(self) -> str:
        return ", ".join(f"{name} = {size:,}" for name, size in self.sizes.items())

    @property
    def _value(self) -> str:
        return f"{self.value:,}" if isinstance(self.value, int) else str(self.value)

    def __repr__(self):
        return (
            f"{self.title}: {self.expression}\n  when {self.when}\n"
            f"  {self._value} at {self._sizes}: {', '.join(self.witnesses)}"
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        latex = sympy.latex(self.expression)
        return {
            FORMULA: {
                "name": self.name,
                "title": self.title,
                "latex": latex,
                "expression": sympy.srepr(self.expression),
                "when": self.when,
                "sizes": self._sizes,
                "value": self._value,
                "witnesses": list(self.witnesses),
            },
            "text/html": (
                f"<p><strong>{escape(self.title)}</strong>: $\\displaystyle {latex}$, when "
                f"{escape(self.when)}. {self._value} at {escape(self._sizes)}: predicted, "
                f"{', '.join(self.witnesses)}.</p>"
            ),
            "text/plain": repr(self),
        }


def boxed(
    name: str,
    title: str,
    expression: sympy.Expr,
    *,
    when: str,
    sizes: Mapping[str, int],
    **measured: int | Fraction,
) -> Formula:
    """Put a formula in a box, after every witness has confirmed it.

    Parameters
    ----------
    name : str
        Unique in the book, such as ``matmul``.
    title : str
        What the formula gives.
    expression : sympy.Expr
        Made of axes.
    when : str
        The conditions under which it holds.
    sizes : mapping of str to int
        Where it was measured.
    **measured : int or Fraction
        What each witness says at these sizes: ``counted=...``, ``profiled=...``.

    Returns
    -------
    Formula
        Shows itself as a box.

    Raises
    ------
    TypeError
        If the expression is text, or a name, title or condition is not.
    ValueError
        If a witness says anything else than the formula, none is given, or one is unknown.

    Examples
    --------
    >>> from flopbook.predict import B, D, K
    >>> boxed("matmul", "A matrix product", 2 * B * D * K, when="each sum has D terms",
    ...       sizes=dict(B=4, D=3, K=2), counted=48)
    A matrix product: 2*B*D*K
      when each sum has D terms
      48 at B = 4, D = 3, K = 2: counted
    """
    for what, text in {"name": name, "title": title, "when": when}.items():
        checks.text(what, text)
    unknown = [witness for witness in measured if witness not in WITNESSES]
    if unknown or not measured:
        wrong = f"{', '.join(unknown)} cannot confirm it" if unknown else "no witness confirms it"
        raise ValueError(f"{name}: {wrong}: give one of {', '.join(WITNESSES)}")
    value = evaluate(expression, sizes)
    for witness, measurement in measured.items():
        if not is_number(measurement) or measurement != value:
            raise ValueError(
                f"{name}: {quoted(expression)} is {value} at {dict(sizes)}, but {witness} says {quoted(measurement)}: "
                "give what was measured there, or mend the formula"
            )
    return Formula(name, title, sympy.sympify(expression), when, dict(sizes), value, tuple(measured))
