"""Predict what one rank of many computes, keeps and sends when they train a Llama."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

from flopbook import checks
from flopbook.predict import B, D, T, evaluate, matmul, training_step
from flopbook.predict.memory import Formats
from flopbook.predict.models import decoder_block
from flopbook.predict.models.claims import TIED
from flopbook.predict.parallel import MeshAxis, Transfer, Unit, carried, fully_sharded, split
from flopbook.published import Network, named
from flopbook.tables import Table

KEPT = Formats()  # 4 bytes for a parameter, a gradient and each of AdamW's two moments
SENT = Formats(parameters=2, gradients=2, activations=2)  # what ranks that share a layer exchange
FULL = 4  # bytes of a number of the loss, and of a gradient that is summed over the ranks' batches

#: What a mesh has to divide: each letter, and what it is called.
DIVIDED = {
    "H": "heads of queries", "G": "heads of keys and values", "F": "hidden numbers of a feed-forward part",
    "V": "tokens of the vocabulary", "T": "tokens of a sequence",
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Describes a rank: the model, how many ranks train it, and how many of them share each layer.

    Attributes
    ----------
    network : Network
        Of the Llama architecture, without biases.
    ranks : int
        How many there are.
    tensor : int
        How many share each layer; they are neighbours. The others have other sequences.
    rank : int
        Which one is meant.
    batch, tokens : int
        Sequences of each rank, or of the ranks that share each layer, and tokens of a sequence.
    recompute : bool
        Whether each block is checkpointed.

    Raises
    ------
    TypeError, ValueError
        If something is not known, or the mesh does not divide what it has to; says what.
    """

    network: Network
    ranks: int
    tensor: int = 1
    rank: int = 0
    batch: int = 1
    tokens: int = 8192
    recompute: bool = False

    def __post_init__(self):
        if self.network.architecture != "llama":
            raise ValueError(
                f"{self.network.name} is not built as a Llama, but as {self.network.architecture}: "
                "give another model, such as Llama 3 8B"
            )
        for name in ("ranks", "tensor", "batch", "tokens"):
            checks.size(name, getattr(self, name))
        if checks.size("rank", self.rank, least=0) >= self.ranks:
            raise ValueError(f"rank={self.rank} is not one of {self.ranks}: give 0 to {self.ranks - 1}")
        if self.ranks % self.tensor:
            raise ValueError(
                f"tensor={self.tensor} does not divide ranks={self.ranks:,}: give a size that divides {self.ranks:,}"
            )
        for letter, what in DIVIDED.items():
            if self.sizes[letter] % self.tensor:
                raise ValueError(
                    f"tensor={self.tensor} does not divide the {self.sizes[letter]:,} {what} of {self.network.name}: "
                    f"give a size that divides {self.sizes[letter]:,}"
                )
        if sum(prod(shape) for unit in units(self, tensor=1) for shape in unit.shapes) != self.network.parameters:
            raise ValueError(
                f"{self.network.name} has parameters besides those of a Llama, such as biases: "
                "give another model, such as Llama 3 8B"
            )

    def __str__(self):
        shared = f", tensor {self.tensor}" if self.tensor > 1 else ""
        again = ", recomputed" if self.recompute else ""
        return f"{self.network.name}, rank {self.rank} of {self.ranks:,}{shared}{again}"

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The size of each letter, as all ranks together have it; B is of those that share each layer."""
        tables = 1 if any(part.kind == TIED for part in self.network.parts) else 2
        return {**self.network.sizes, "B": self.batch, "T": self.tokens, "tables": tables}

    @property
    def data(self) -> int:
        """How many groups of ranks have sequences of their own."""
        return self.ranks // self.tensor


class Rank(NamedTuple):
    """Holds what one rank runs, keeps and sends in a step.

    Attributes
    ----------
    flops : dict of str to int
        FLOPs by phase.
    bytes : dict of str to int
        Bytes of parameters, gradients and optimizer state after the step.
    sent : dict
        Calls, payload and what a ring makes the rank send, in bytes, by collective, phase and ranks that take part.
    """

    flops: Mapping[str, int]
    bytes: Mapping[str, int]
    sent: Mapping[tuple[str, str, int], tuple[int, int, int]]

    @property
    def lines(self) -> dict[str, int]:
        """Give each number a name, in the order of a table."""
        sent = sorted(self.sent.items(), key=lambda pair: (pair[0][2], pair[0]))
        return {
            **{f"FLOPs, {phase}": amount for phase, amount in self.flops.items() if amount},
            **{f"bytes kept, {kind}": amount for kind, amount in self.bytes.items()},
            **{
                f"{collective}, {phase}, {calls:,} calls among {ranks:,} ranks: bytes": payload
                for (collective, phase, ranks), (calls, payload, _) in sent
            },
            "bytes sent in a ring": sum(ring for _, (_, _, ring) in sent),
        }


def read(entry: Mapping[str, Any]) -> tuple[Case, Rank]:
    """Read an entry of the record: which rank it is, and what was counted of it."""
    asked = {name: entry[name] for name in ("ranks", "tensor", "rank", "batch", "tokens", "recompute")}
    sent = {(collective, phase, ranks): tuple(amounts) for collective, phase, ranks, *amounts in entry["sent"]}
    return Case(named(entry["model"]).network, **asked), Rank(entry["flops"], entry["bytes"], sent)


def predict(case: Case) -> Rank:
    """Predict a step of one rank."""
    share = case.rank // case.tensor  # neighbours share layers, so that each of them has the same share of its parts
    sharded = fully_sharded(
        units(case, case.tensor), case.data, share, formats=KEPT, gathered=SENT.parameters, reduced=FULL
    )
    held = {kind: int(getattr(sharded.held, kind)) for kind in ("parameters", "gradients", "optimizer")}
    return Rank(flops(case), held, sent([*sharded.transfers, *exchanged(case)], case.sizes))


def flops(case: Case) -> dict[str, int]:
    """Predict FLOPs: the formulas of the whole model, with the letters as long as they are on one rank."""
    here = {letter: case.sizes[letter] // case.tensor for letter in "HGFV"}
    whole = case.network.dense
    found = {
        phase: int(case.network.at(getattr(whole, phase), B=case.batch, T=case.tokens, **here))
        for phase in ("forward", "backward")
    }
    *again, _ = decoder_block(gated=True).forward  # the last product's result is kept by nobody, so it is not run again
    of_block = sum(product.flops for product in again)
    recomputed = case.sizes["L"] * evaluate(of_block, {**case.sizes, "S": case.tokens, **here})
    return {**found, "recomputed": recomputed if case.recompute else 0}


def units(case: Case, tensor: int) -> list[Unit]:
    """List the parameters of a rank before they are sharded: those of each block, and those at both ends.

    A matrix has a row for each of its outputs. Ranks that share a layer have some rows of it, or some columns.
    """
    L, D, H, G, E, F, V = (case.sizes[letter] for letter in "LDHGEFV")
    q, k, f, v = (length // tensor for length in (H * E, G * E, F, V))
    norm, table = (D,), (v, D)
    block = [norm, (q, D), (k, D), (k, D), (D, q), norm, (f, D), (f, D), (D, f)]
    return [Unit([table, norm, table][: case.sizes["tables"] + 1], reshard=False), *[Unit(block)] * L]


def exchanged(case: Case) -> list[Transfer]:
    """Derive what ranks that share each layer exchange; between split products each has some of the tokens."""
    blocks, ends = case.sizes["L"], 1
    mesh = MeshAxis("H,G,F", case.tensor, lies={"x": "T", "y": "T", "n": "T", "z": "T"})
    block = split(decoder_block(gated=True), mesh, weights="wq wk wv wo wg w1 w2", formats=SENT)
    transfers = [(blocks, move.transfer) for move in block.moves]
    if case.recompute:  # all of a block's forward pass but what follows its last product
        again = [move.transfer for move in block.moves if move.transfer.phase == "forward" and move.tensor.name != "z"]
        transfers += [(blocks, Transfer(each.collective, "recomputed", each.payload, each.ranks)) for each in again]
    # a lookup is a product with rows that have a single 1: no FLOPs, but a sum over the vocabulary
    lookup = training_step(matmul("one[B,T,V] @ table[V,D] -> x[B,T,D]"), data="one")
    head = training_step(matmul("n[B,T,D] @ table[D,V] -> logits[B,T,V]"))
    for step, lies in ((lookup, {"x": "T"}), (head, {"n": "T", "logits": "V"})):
        over_words = split(step, MeshAxis("V", case.tensor, lies=lies), weights="table", formats=SENT)
        transfers += [(ends, move.transfer) for move in over_words.moves]
    # a norm's gradient is a sum over tokens, of which each rank has some
    transfers.append((2 * blocks + ends, Transfer("all-reduce", "backward", SENT.gradients * D, case.tensor)))
    # the loss looks for the largest logit, sums exponentials, and picks one logit of each token
    transfers.append((3 * ends, Transfer("all-reduce", "forward", FULL * B * T, case.tensor)))
    return [Transfer(each.collective, each.phase, each.payload, each.ranks, times) for times, each in transfers]


def sent(transfers: list[Transfer], sizes: dict[str, int]) -> dict[tuple[str, str, int], tuple[int, int, int]]:
    """Add up calls, payload and bytes of a ring by collective, phase and ranks; nobody sends to oneself."""
    by_ranks = defaultdict(list)
    for transfer in transfers:
        by_ranks[transfer.ranks].append(transfer)
    return {
        (*key, ranks): amounts
        for ranks, among in by_ranks.items() if ranks > 1
        for key, amounts in carried(among, sizes).items()
    }  # fmt: skip


def table(predicted: Rank, counted: Rank, caption: str = "") -> Table:
    """Put what is predicted beside what was counted."""
    left, right = predicted.lines, counted.lines
    names = dict.fromkeys([*left, *right])
    rows = [(name, left.get(name), right.get(name)) for name in names]
    return Table(["One rank", "Predicted", "Counted"], rows, caption)
