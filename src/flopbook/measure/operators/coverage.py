"""Show which operators the book has rules for, and what each rule counts."""

import torch

from flopbook.measure.operators.movement import TABLE
from flopbook.measure.operators.names import qualified
from flopbook.measure.operators.registry import (
    COMMUNICATION,
    CONTRACTIONS,
    INTEGER,
    MASKED,
    POINTWISE,
    REMADE,
    TRANSCENDENTAL,
)
from flopbook.tables import Styled, Table, code

#: The kinds of rules, in the order in which the table shows them.
KINDS = {
    "contraction": CONTRACTIONS,
    "remade": REMADE,
    "masked": MASKED,
    "integer": INTEGER,
    "pointwise": POINTWISE,
    "transcendental": TRANSCENDENTAL,
    "communication": COMMUNICATION,
}


#: Namespaces whose operators PyTorch makes when they are first needed.
_LATE = {"higher_order", "torch_nn", "torch_attn"}


def coverage(*kinds: str) -> Table:
    """Table every operator that has a rule, with the rule's kind and what it counts.

    Parameters
    ----------
    *kinds : str
        One or several of ``"contraction"``, ``"remade"``, ``"masked"``,
        ``"integer"``, ``"pointwise"``, ``"transcendental"``,
        ``"communication"`` and ``"movement"``; all of them unless told.

    Returns
    -------
    Table
        A row for each operator that the installed PyTorch has, and kind. Operators that PyTorch marks as
        pointwise or as a reduction are counted by their marks, and stand here only if they have a rule
        besides.

    Raises
    ------
    ValueError
        If a kind is not one of those above.

    Examples
    --------
    >>> print("\\n".join(str(coverage("remade")).splitlines()[:2]))  # doctest: +ELLIPSIS
    operator ...
    """
    known = (*KINDS, "movement")
    for kind in kinds:
        if kind not in known:
            raise ValueError(f"{kind!r} is not a kind of rule: give one of {', '.join(known)}")
    rows = [row for kind in kinds or known for row in _rows(kind)]
    return Table(("operator", "kind", "what is counted"), rows, "Operators that have a rule", labels=1)


def _rows(kind: str) -> list[tuple]:
    if kind == "movement":
        counts = {qualified(name): f"nothing: {what}" for what, names in TABLE.items() for name in names.split()}
    else:
        counts = {name: (rule.__doc__ or "").split("\n")[0] for name, rule in KINDS[kind].items()}
    return [(_name(name), kind, counts[name]) for name in sorted(counts) if is_here(name)]


def _name(operator: str) -> Styled:
    """Set an operator's name as code that may break at its underscores."""
    return Styled(operator, code(operator).html.replace("_", "_<wbr>"))


def is_here(name: str) -> bool:
    """Tell whether the installed PyTorch has an operator; it makes some only at first use."""
    namespace, _, operator = name.partition("::")
    known = getattr(torch.ops, namespace)
    return namespace in _LATE or hasattr(known, operator) or hasattr(known, f"{operator}_")
