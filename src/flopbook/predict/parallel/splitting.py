"""Split the products of a training step over a mesh of ranks, and derive what each rank computes, keeps and sends.

One letter of a product is split over the ranks, and all else follows. Where the split letter is kept, each rank has its
part of the result, for free. Where it is summed over, each rank has a term of every number, and the ranks add up. Where
an operand lies otherwise than the product needs it, the ranks exchange parts first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import sympy
from sympy import Expr

from flopbook.checks import quoted, sizes
from flopbook.predict.axes import axis
from flopbook.predict.memory import FLOAT32, Formats
from flopbook.predict.notation import Tensor
from flopbook.predict.parallel.transfers import Transfer, carried
from flopbook.predict.pointwise import elements
from flopbook.predict.products import Product
from flopbook.predict.steps import TrainingStep
from flopbook.predict.values import evaluate, number

__all__ = ["MeshAxis", "Move", "OnRank", "Split", "split"]

_WHOLE, _PARTIAL = "", "partial sums"  # how a tensor lies over an axis of the mesh, besides along a letter

Layout = tuple[str, ...]  # one entry for each axis of the mesh


@dataclass(frozen=True)
class MeshAxis:
    """Describes one axis of a mesh: how many ranks share a product, and along which letter.

    Attributes
    ----------
    letters : str or mapping of str to str
        The letters that are split, with commas between them, of which a product has at most one: ``"H"`` or
        ``"H,G,F"``. Or the letter of each product, by the name of its result: ``{"h": "H", "y": "K"}``. A product
        without such a letter runs on every rank.
    ranks : int or sympy.Expr
        How many there are along this axis.
    lies : mapping of str to str
        The letter along which a tensor lies split between products, by the tensor's name; empty where it lies whole.
        A tensor that is not named lies as the first product that meets it needs it, or makes it.
    again : sequence of str
        Names of tensors of `lies` that are not kept as the forward pass needed them, but brought together again for
        the backward pass.

    Raises
    ------
    TypeError, ValueError
        If `ranks` is neither a whole number of at least 1 nor made of axes, or another part has another form.

    Examples
    --------
    >>> MeshAxis("H,G,F", 8).names
    ('H', 'G', 'F')
    """

    letters: str | Mapping[str, str]
    ranks: Expr | int
    lies: Mapping[str, str] = field(default_factory=dict)
    again: tuple[str, ...] = ()

    def __post_init__(self):
        number("ranks", self.ranks, least=1)
        for name, given in {"letters": self.letters, "lies": self.lies}.items():
            if not isinstance(given, Mapping if name == "lies" else (str, Mapping)):
                raise TypeError(f"{name}={quoted(given)} names no letters: write {name}={{'h': 'H'}}")
            if isinstance(given, Mapping) and not all(isinstance(part, str) for part in (*given, *given.values())):
                raise TypeError(f"{name}={quoted(given)} has a part that is not text: write {name}={{'h': 'H'}}")
        for letter in {*self.names, *self.lies.values()} - {_WHOLE}:
            axis(letter)
        if isinstance(self.again, str) or not set(self.again) <= set(self.lies):
            raise ValueError(f"again={quoted(self.again)} names a tensor that lies does not: write again=('x',)")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the letters that products are split along."""
        listed = self.letters.split(",") if isinstance(self.letters, str) else self.letters.values()
        return tuple(dict.fromkeys(letter.strip() for letter in listed))


class Move(NamedTuple):
    """Says of one transfer which tensor it carries, and why.

    Attributes
    ----------
    tensor : Tensor
        What is carried.
    transfer : Transfer
        The collective.
    reason : str
        Such as ``H is summed over``.
    """

    tensor: Tensor
    transfer: Transfer
    reason: str


class OnRank(NamedTuple):
    """Holds the numbers of one rank at given sizes, made by :meth:`Split.at`.

    Attributes
    ----------
    forward, backward : int
        FLOPs.
    weights, kept : int
        Bytes.
    carried : dict
        Calls, payload and bytes sent in a ring by collective and phase, as in
        :func:`flopbook.predict.parallel.transfers.carried`.
    """

    forward: int
    backward: int
    weights: int
    kept: int
    carried: dict[tuple[str, str], tuple[int, int, int]]


@dataclass(frozen=True)
class Split:
    """Holds what one rank of a mesh does in a step, made by :func:`split`.

    Attributes
    ----------
    forward, backward : sympy.Expr
        FLOPs that each rank runs.
    weights : sympy.Expr
        Bytes of the weights that lie on a rank, trained or not.
    kept : sympy.Expr
        Bytes of the activations that a rank keeps because a backward product reads them.
    moves : tuple of Move
        What is carried between ranks, in the order of the step.
    lines : tuple of str
        The products as a rank runs them.
    divisions : frozenset
        Letters, and by what each has to be divisible.
    """

    forward: Expr
    backward: Expr
    weights: Expr
    kept: Expr
    moves: tuple[Move, ...]
    lines: tuple[str, ...]
    divisions: frozenset[tuple[str, Expr]]

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        """Return the collectives in the order of the step."""
        return tuple(move.transfer for move in self.moves)

    def at(self, given: Mapping[str, int]) -> OnRank:
        """Put in sizes, and return the numbers of one rank.

        Raises
        ------
        ValueError
            If the ranks do not divide a letter that they split, or a size is missing.

        Examples
        --------
        >>> from flopbook.predict import matmul, training_step
        >>> step = training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]"), data="x")
        >>> split(step, MeshAxis("K", 3)).at(dict(B=2, D=5, K=7))
        Traceback (most recent call last):
        ...
        ValueError: K=7 cannot be split over 3 ranks: give a multiple of 3, or ranks that divide 7
        """
        known = sizes(given)
        for letter, ranks in sorted(self.divisions, key=str):
            length, parts = (int(evaluate(value, known)) for value in (axis(letter), ranks))
            if length % parts:
                raise ValueError(
                    f"{letter}={length} cannot be split over {parts} ranks: "
                    f"give a multiple of {parts}, or ranks that divide {length}"
                )
        forward, backward, weights, kept = (
            int(evaluate(value, known)) for value in (self.forward, self.backward, self.weights, self.kept)
        )
        return OnRank(forward, backward, weights, kept, carried(self.transfers, known))

    def __repr__(self):
        return "\n".join(self.lines)


def split(step: TrainingStep, *mesh: MeshAxis, weights: str | None = None, formats: Formats = FLOAT32) -> Split:
    """Split the products of a step over a mesh, and derive each rank's work and transfers.

    Of each result the ranks make a whole again, or what `lies` asks for. An all-reduce or a reduce-scatter adds
    partial sums up, an all-gather brings parts together, and an all-to-all exchanges the letter along which a tensor is
    split; to take one's own part of a whole is free. A gradient lies as its tensor does. What several products add to
    one gradient is added on the rank first, and then carried once.

    Parameters
    ----------
    step : TrainingStep
        The products of both passes.
    *mesh : MeshAxis
        One for each axis; a rank's share is divided along all of them.
    weights : str, optional
        The names of the weights, with blanks between them; every input that is not data, unless told otherwise. Say
        it where an input is what pointwise functions make of another result, as in a block of a transformer.
    formats : Formats
        Bytes of a number: of activations and their gradients, of parameters and theirs.

    Returns
    -------
    Split
        Whose `repr` shows the products of one rank, and what is carried between them.

    Raises
    ------
    TypeError
        If something other than a step and axes is given.
    ValueError
        If a letter or a tensor is not in the step, or two letters of one product are split over the same ranks.

    Notes
    -----
    Derived in the lecture *Split a layer*. The first split by columns, then rows: Shoeybi and others, *Megatron-LM*
    (2019).

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> h = matmul("x[B,D] @ w1[D,H] -> h[B,H]")
    >>> y = matmul("h[B,H] @ w2[H,K] -> y[B,K]")
    >>> split(training_step(h, y), MeshAxis("H", 2))
    forward: B*D*H + B*H*K FLOPs
      x[B,D] @ w1[D,H/2] -> h[B,H/2]
      h[B,H/2] @ w2[H/2,K] -> y[B,K]
        all-reduce of y[B,K], 4*B*K bytes: H is summed over
    backward: 2*B*D*H + 2*B*H*K FLOPs
      h[B,H/2] @ y.grad[B,K] -> w2.grad[H/2,K]
      y.grad[B,K] @ w2[H/2,K] -> h.grad[B,H/2]
      x[B,D] @ h.grad[B,H/2] -> w1.grad[D,H/2]
      h.grad[B,H/2] @ w1[D,H/2] -> x.grad[B,D]
        all-reduce of x.grad[B,D], 4*B*D bytes: H is summed over

    A batch that is split is data parallelism: the sum over B is that of the weights' gradients.

    >>> both = split(training_step(h, y, data="x"), MeshAxis("H", 2), MeshAxis("B", 4))
    >>> [str(move.tensor) for move in both.moves], both.at(dict(B=8, D=64, H=256, K=64)).forward
    (['y[B,K]', 'w2.grad[H,K]', 'w1.grad[D,H]'], 65536)
    """
    if not isinstance(step, TrainingStep):
        raise TypeError(f"{quoted(step)} is not a training step: write split(training_step(...), MeshAxis('H', 2))")
    for each in mesh:
        if not isinstance(each, MeshAxis):
            raise TypeError(f"{quoted(each)} is not an axis of a mesh: write MeshAxis('H', 2)")
    inputs = {tensor.name for tensor in (*step.trained, *step.untrained)}
    if weights is not None and not isinstance(weights, str):
        raise TypeError(f"weights={quoted(weights)} is not text: write weights='w1 w2'")
    named = inputs if weights is None else set(weights.split())
    for name in sorted(named - inputs):
        raise ValueError(f"{quoted(name)} is not an input of the step: give some of {', '.join(sorted(inputs))}")
    return _Splitter(step, mesh, named, formats).run()


def _base(name: str) -> str:
    return name.removesuffix(".grad")


def _key(product: Product) -> frozenset[str]:
    """Return what a product has in common with those of its gradients: the tensors."""
    return frozenset(_base(tensor.name) for tensor in (product.left, product.right, product.output))


class _Splitter:
    """Goes through a step once, and notes where each tensor lies over each axis of the mesh."""

    def __init__(self, step: TrainingStep, mesh: tuple[MeshAxis, ...], weights: set[str], formats: Formats):
        self.step, self.mesh, self.weights, self.formats = step, mesh, weights, formats
        self.tensors = {
            tensor.name: tensor for product in step.forward for tensor in (product.left, product.right, product.output)
        }
        for each in mesh:
            self._check(each)
        self.letters = {_key(product): self._letters(product) for product in step.forward}
        self.home: dict[str, Layout] = {}  # where a tensor lies between products, and so does its gradient
        self.there: dict[str, set[Layout]] = {}  # what ranks have of it by now
        self.moves: list[Move] = []
        self.lines: list[str] = []

    def _check(self, each: MeshAxis) -> None:
        """Refuse letters and names that the step does not have."""
        letters = {letter for tensor in self.tensors.values() for letter in tensor.axes}
        results = {product.output.name for product in self.step.forward}
        for letter in each.names:
            if letter not in letters:
                raise ValueError(
                    f"{quoted(letter)} is not a letter of the step: give one of {', '.join(sorted(letters))}"
                )
        for given, known in ((each.letters, results), (each.lies, self.tensors)):
            for name in given if isinstance(given, Mapping) else ():
                if name not in known:
                    raise ValueError(f"{quoted(name)} is not in the step: give one of {', '.join(sorted(known))}")
        for name, letter in each.lies.items():
            if letter not in (_WHOLE, *self.tensors[name].axes):
                raise ValueError(f"{self.tensors[name]} cannot lie along {letter}: give one of its own letters, or ''")

    def _letters(self, product: Product) -> Layout:
        """Choose the letter along which each axis of the mesh splits a product; empty where it does not."""
        tensors = (product.left, product.right, product.output)
        chosen = []
        for each in self.mesh:
            if isinstance(each.letters, Mapping):
                found = [each.letters[product.output.name]] if product.output.name in each.letters else []
            else:
                found = [letter for letter in each.names if any(letter in tensor.axes for tensor in tensors)]
            if not found:  # a product that could run on each rank's part of what lies split
                along = (each.lies.get(tensor.name, _WHOLE) for tensor in tensors if tensor.name not in self.weights)
                found = sorted({letter for letter in along if letter})
            if len(found) > 1:
                raise ValueError(
                    f"'{product}' has {' and '.join(found)}, both split over the same ranks: "
                    "give each an axis of its own, or say by letters={'y': 'K'} which one is meant"
                )
            letter = found[0] if found else _WHOLE
            if letter and sum(letter in tensor.axes for tensor in tensors) < 2:
                raise ValueError(
                    f"'{product}' cannot be split along {letter}, which one tensor of it has: "
                    "give a letter that two of them share"
                )
            chosen.append(letter)
        return tuple(chosen)

    def run(self) -> Split:
        forward = self._run("forward", self.step.forward)
        self._let_go()
        backward = self._run("backward", self.step.backward)
        layouts = (*self.letters.values(), *self.home.values())
        divisions = frozenset(part for layout in layouts for part in self._divided(layout).items())
        return Split(forward, backward, self._weights(), self._kept(), tuple(self.moves), tuple(self.lines), divisions)

    def _let_go(self) -> None:
        """Forget what is brought together again for the backward pass."""
        for name in {name for each in self.mesh for name in each.again}:
            if name in self.home:
                self.there[name] = {self.home[name]}

    def _run(self, phase: str, products: tuple[Product, ...]) -> Expr:
        heading, flops = len(self.lines), sympy.Integer(0)
        self.lines.append("")
        last = {product.output.name: place for place, product in enumerate(products)}
        made: dict[str, dict[Layout, Layout]] = {}  # of each result: the layouts of its terms, and the letters split
        for place, product in enumerate(products):
            letters = self.letters[_key(product)]
            for tensor in (product.left, product.right):
                self._bring(tensor, self._needed(tensor, letters), phase)
            name = product.output.name
            layout = tuple(each if each in product.output.axes else _PARTIAL if each else _WHOLE for each in letters)
            made.setdefault(name, {})[layout] = letters
            flops += product.flops / self._parts(letters)
            shown = (
                *(self._shown(t, self._needed(t, letters)) for t in (product.left, product.right)),
                self._shown(product.output, layout),
            )
            self.lines.append("  {} {} {} -> {}".format(shown[0], product.sign, *shown[1:]))
            if last[name] == place:
                for layout, letters in made[name].items():
                    self._finish(product.output, layout, letters, phase)
        self.lines[heading] = f"{phase}: {flops} FLOPs"
        return flops

    def _needed(self, tensor: Tensor, letters: Layout) -> Layout:
        return tuple(letter if letter in tensor.axes else _WHOLE for letter in letters)

    def _home(self, tensor: Tensor, otherwise: Layout) -> Layout:
        """Return where a tensor lies between products; what nobody has said yet is as it is first met."""
        if tensor.name != _base(tensor.name) and (found := self.home.get(_base(tensor.name))) is not None:
            return found
        return tuple(each.lies.get(tensor.name, letter) for each, letter in zip(self.mesh, otherwise, strict=True))

    def _bring(self, tensor: Tensor, needed: Layout, phase: str) -> None:
        """Bring an operand into the layout that a product needs."""
        if tensor.name not in self.there:
            home = self.home[tensor.name] = self._home(tensor, needed)
            self.there[tensor.name] = {home}
        there = self.there[tensor.name]
        if not any(_covers(layout, needed) for layout in there):
            self._carry(tensor, self.home[tensor.name], needed, phase, dict.fromkeys(range(len(needed)), ""))
        there.add(needed)

    def _finish(self, tensor: Tensor, made: Layout, letters: Layout, phase: str) -> None:
        """Add up the partial sums of a result, and lay it where it belongs."""
        otherwise = tuple(_WHOLE if layout == _PARTIAL else layout for layout in made)
        home = self.home[tensor.name] = self._home(tensor, otherwise)
        self._carry(tensor, made, home, phase, dict(enumerate(letters)))
        self.there[tensor.name] = {home}

    def _carry(self, tensor: Tensor, start: Layout, end: Layout, phase: str, summed: Mapping[int, str]) -> None:
        """Note the collective that turns one layout into another, axis by axis."""
        now = list(start)
        for place, (each, have, want) in enumerate(zip(self.mesh, start, end, strict=True)):
            collective, reason = _collective(have, want, summed[place])
            if collective and each.ranks != 1:
                whole = self._bytes(tensor) / self._parts([*now[:place], _WHOLE, *now[place + 1 :]])
                payload = whole / each.ranks if collective == "all-to-all" else whole
                transfer = Transfer(collective, phase, payload, each.ranks)
                self.moves.append(Move(tensor, transfer, reason))
                now[place] = _WHOLE
                shown = self._shown(tensor, now)
                self.lines.append(f"    {collective} of {shown}, {payload} bytes: {reason}")
            now[place] = want

    def _bytes(self, tensor: Tensor) -> Expr:
        """Return the bytes of a tensor that nobody splits."""
        formats, name = self.formats, _base(tensor.name)
        if name not in self.weights:
            return elements(tensor) * formats.activations
        return elements(tensor) * (formats.parameters if name == tensor.name else formats.gradients)

    def _parts(self, layout: Layout | list[str]) -> Expr:
        """Return into how many parts a layout divides a tensor."""
        return sympy.Mul(*self._divided(layout).values())

    def _divided(self, layout: Layout | list[str]) -> dict[str, Expr]:
        """Return by what each letter is divided."""
        parts: dict[str, Expr] = {}
        for each, letter in zip(self.mesh, layout, strict=True):
            if letter not in (_WHOLE, _PARTIAL):
                parts[letter] = parts.get(letter, sympy.Integer(1)) * each.ranks
        return parts

    def _shown(self, tensor: Tensor, layout: Layout | list[str]) -> str:
        parts = self._divided(layout)
        return f"{tensor.name}[{','.join(str(axis(a) / parts[a]) if a in parts else a for a in tensor.axes)}]"

    def _weights(self) -> Expr:
        tensors = (tensor for name, tensor in self.tensors.items() if name in self.weights)
        return sympy.Add(*(self._bytes(tensor) / self._parts(self.home[tensor.name]) for tensor in tensors))

    def _kept(self) -> Expr:
        """Add up the activations that backward products read, each as they read it; a whole has its parts in it."""
        read: dict[str, set[Layout]] = {}
        again = {name for each in self.mesh for name in each.again}
        for product in self.step.backward:
            for tensor in (product.left, product.right):
                if tensor.name == _base(tensor.name) and tensor.name not in self.weights:
                    needed = self._needed(tensor, self.letters[_key(product)])
                    read.setdefault(tensor.name, set()).add(self.home[tensor.name] if tensor.name in again else needed)
        return sympy.Add(
            *(
                self._bytes(self.tensors[name]) / self._parts(layout)
                for name, layouts in read.items()
                for layout in layouts
                if not any(_covers(other, layout) for other in layouts - {layout})
            )
        )


def _covers(has: Layout, needed: Layout) -> bool:
    """Tell whether each rank finds its part in what it has."""
    return all(have in (_WHOLE, need) for have, need in zip(has, needed, strict=True))


def _collective(have: str, want: str, summed: str) -> tuple[str, str]:
    """Name the collective that turns a layout over one axis into another, and say why; empty where none is needed."""
    if have in (_WHOLE, want):
        return "", ""
    if have == _PARTIAL:
        reason = f"{summed} is summed over"
        return ("reduce-scatter", f"{reason}, {want} is split") if want else ("all-reduce", reason)
    return ("all-to-all", f"{have} was split, now {want}") if want else ("all-gather", f"{have} was split")
