"""Derive what one rank of a mesh computes, keeps and sends while it trains a transformer decoder.

Each axis of a mesh splits some letters: tensor H, G, F and V; context T; data and expert B, and expert X besides;
pipeline L. So the FLOPs of a rank are the formula of the whole model, at the sizes that the letters have there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from math import prod

import sympy
from sympy import Expr, Integer

from flopbook import checks
from flopbook.checks import one_of, quoted, size
from flopbook.predict.axes import B, D, F, G, H, K, S, T, V, axis
from flopbook.predict.memory import MIXED, Formats, TrainingMemory
from flopbook.predict.models.experts import X, experts_part
from flopbook.predict.models.model import Model
from flopbook.predict.models.transformer import attention_part, embedding, feed_forward_part, matrices, output_layer
from flopbook.predict.optimizers import OPTIMIZERS
from flopbook.predict.parallel.transfers import Transfer
from flopbook.predict.values import evaluate

__all__ = ["Mesh", "RankOfMesh", "Training", "rank_of_mesh"]

ZERO = Integer(0)
_HERE = axis("X_here")  # experts of one rank, while its router scores all X
#: The letters of a decoder, and those that it has besides where its feed-forward parts are experts.
_LETTERS = ("B", "T", "L", "D", "H", "G", "E", "F", "V", "matrices", "tables")
_OF_EXPERTS = ("X", "K")
_CHECKPOINTS = ("none", "selective", "full")

_Part = Mapping[str, int]  # the amounts of a part of the model at the sizes of a rank


@dataclass(frozen=True)
class Mesh:
    """Says how many ranks lie along each axis; their product is the number of devices.

    Ranks are numbered along `tensor` first, then `context`, `expert`, `pipeline` and `data`: those that lie along the
    first axes are neighbours.

    Attributes
    ----------
    data : int
        Ranks that take other sequences.
    tensor : int
        Ranks that share each layer: its heads, its hidden width, the vocabulary.
    context : int
        Ranks that share each sequence.
    pipeline : int
        Stages, each with some of the layers.
    expert : int
        Ranks that take other sequences and hold other experts.

    Raises
    ------
    ValueError
        If one is not a whole number of at least 1; quotes it.

    Examples
    --------
    >>> Mesh(data=128, tensor=8, pipeline=16).devices
    16384
    """

    data: int = 1
    tensor: int = 1
    context: int = 1
    pipeline: int = 1
    expert: int = 1

    def __post_init__(self):
        for each in fields(self):
            size(each.name, getattr(self, each.name))

    @property
    def devices(self) -> int:
        """Return how many ranks there are."""
        return prod(getattr(self, each.name) for each in fields(self))

    def __str__(self):
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        return ", ".join(f"{name} {ranks}" for name, ranks in named.items() if ranks > 1) or "one device"


@dataclass(frozen=True)
class Training:
    """Says how a decoder is trained on a mesh.

    Attributes
    ----------
    micro : int
        Sequences of a micro-batch: of one forward and backward pass of a rank.
    zero : int
        What is sharded over the ranks that hold the same parameters: nothing (0), the optimizer state (1), gradients,
        too (2), parameters, too (3).
    checkpoints : str
        ``none``; ``selective``, where a block keeps its input and what its products give, and its pointwise arithmetic
        runs again; or ``full``, where it keeps its input, and all of it runs again.
    sequence : bool
        Whether tensor ranks share what lies between the split products, too: sequence parallelism.
    chunks : int
        Pieces of the model that a stage holds: more than 1 where the schedule interleaves.
    causal : bool
        Whether to count the pairs that a causal mask leaves, and not every query with every key.
    formats : Formats
        Bytes of one number of each kind.
    loss : int
        Bytes of one number that the loss keeps.
    optimizer : str
        A name in `OPTIMIZERS`.

    Raises
    ------
    TypeError, ValueError
        If something else is given; quotes it.
    """

    micro: int = 1
    zero: int = 1
    checkpoints: str = "none"
    sequence: bool = True
    chunks: int = 1
    causal: bool = False
    formats: Formats = MIXED
    loss: int = 4
    optimizer: str = "AdamW"

    def __post_init__(self):
        size("micro", self.micro)
        size("chunks", self.chunks)
        size("loss", self.loss)
        if isinstance(self.zero, bool) or self.zero not in range(4):
            raise ValueError(f"zero={quoted(self.zero)} is not a stage of ZeRO: write 0, 1, 2 or 3")
        one_of("checkpoints", self.checkpoints, _CHECKPOINTS)
        for name in ("sequence", "causal"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name}={quoted(getattr(self, name))} is neither True nor False: give one of them")
        if not isinstance(self.formats, Formats):
            raise TypeError(f"formats={quoted(self.formats)} are not formats: write MIXED or Formats(...)")
        one_of("optimizer", self.optimizer, OPTIMIZERS)


@dataclass(frozen=True)
class RankOfMesh:
    """Holds what a rank computes, keeps and sends in a step, made by :func:`rank_of_mesh`.

    Attributes
    ----------
    stage, layers : int
        Its place along the pipeline, and the blocks that it holds.
    micro_batches : int
        How many go through it in a step.
    in_flight : int
        How many chunks of them wait for their backward pass at the most.
    parameters : int
        Trained numbers of its part of the model, before ZeRO shards them.
    forward, backward, recomputed : int
        FLOPs of products in a step.
    attention : int
        Those of `forward` that are scores and weighted sums: a ring of keys and values hides behind them.
    held : TrainingMemory
        Bytes of parameters, gradients, optimizer state and activations.
    transfers : mapping of str to tuple of Transfer
        What is called in a step along each axis of the mesh.
    """

    stage: int
    layers: int
    micro_batches: int
    in_flight: int
    parameters: int
    forward: int
    backward: int
    recomputed: int
    attention: int
    held: TrainingMemory
    transfers: Mapping[str, tuple[Transfer, ...]]


def rank_of_mesh(sizes: Mapping[str, int], mesh: Mesh, training: Training | None = None, stage: int = 0) -> RankOfMesh:
    """Derive what each rank of a stage computes, keeps and sends in one step.

    Parameters
    ----------
    sizes : mapping of str to int
        Those of a decoder, as in `flopbook.predict.models.PUBLISHED`, with the tokens T of a sequence and the
        sequences B of a step. With X experts of which a token meets K, F is the width of one, and tokens spread evenly.
    mesh : Mesh
        How many ranks lie along each axis.
    training : Training, optional
        How it is trained.
    stage : int
        The place along the pipeline, from 0.

    Raises
    ------
    TypeError, ValueError
        If a size is missing, or the mesh does not divide it; says which.

    Notes
    -----
    Blocks are spread evenly over the stages; where they do not divide, the first and the last stage have fewer.
    Attention is fused. With sequence parallelism, what norms give is gathered for the products, and kept as a whole
    unless checkpoints make it again. A ring of context ranks makes the scores again on the way back, which is left out,
    as with any fused attention.

    Examples
    --------
    >>> from flopbook.predict.models import PUBLISHED
    >>> sizes = PUBLISHED["Llama 3 405B"] | dict(B=2048)
    >>> one = rank_of_mesh(sizes, Mesh(data=128, tensor=8, pipeline=16), stage=1)
    >>> one.layers, one.micro_batches, one.held.parameters / 1e9
    (8, 16, 6.37...)
    """
    split = _Split(sizes, mesh, trained(training))
    if size("stage", stage, least=0) >= mesh.pipeline:
        raise ValueError(f"stage={stage} is not there: the pipeline has {mesh.pipeline}, from 0")
    return split.rank(stage)


def trained(training: object) -> Training:
    """Return how a decoder is trained, as usual unless told, and refuse what does not say it."""
    if training is None:
        return Training()
    if not isinstance(training, Training):
        raise TypeError(f"training={quoted(training)} does not say how to train: write Training(micro=1)")
    return training


def sizes_of_decoder(given: object) -> dict[str, int]:
    """Return the sizes of a decoder, and refuse those that lack one or that no decoder has."""
    sizes = checks.sizes(given)
    wanted = _LETTERS + (_OF_EXPERTS if "X" in sizes else ())
    if missing := [letter for letter in wanted if letter not in sizes]:
        raise ValueError(f"the sizes lack {', '.join(missing)}: write sizes | dict({missing[0]}=...)")
    heads, groups, matrices_, tables = (sizes[name] for name in ("H", "G", "matrices", "tables"))
    if heads % groups:
        raise ValueError(f"G={quoted(groups)} does not divide H={quoted(heads)}: write G that divides {quoted(heads)}")
    if "X" in sizes and sizes["K"] > sizes["X"]:
        experts = quoted(sizes["X"])
        raise ValueError(f"K={quoted(sizes['K'])} is more than X={experts}: write K of at most {experts}")
    if matrices_ not in {2, 3}:
        raise ValueError(f"matrices={quoted(matrices_)} make no feed-forward part: write 3 with a gate, or 2")
    if tables not in {1, 2}:
        raise ValueError(f"tables={quoted(tables)} make no decoder: write 1 for a table that both ends share, or 2")
    return sizes


class _Split:
    """Puts a decoder on a mesh."""

    def __init__(self, sizes: Mapping[str, int], mesh: Mesh, training: Training):
        if not isinstance(mesh, Mesh):
            raise TypeError(f"mesh={quoted(mesh)} is not a mesh: write Mesh(data=8, tensor=8)")
        self.sizes, self.mesh, self.training = sizes_of_decoder(sizes), mesh, training
        self.micro_batches = self._check()
        self.block, self.table, self.head = (self._local(part) for part in ("block", "table", "head"))

    @property
    def _experts(self) -> bool:
        return "X" in self.sizes

    def _check(self) -> int:
        """Refuse a mesh that does not divide a size, and return the micro-batches."""
        mesh, training = self.mesh, self.training
        for ranks, letters, way in ((mesh.tensor, "HGFV", "tensor"), (mesh.context, "T", "context")):
            for letter in letters:
                _divide(letter, self.sizes[letter], way, ranks)
        if mesh.expert > 1:
            if not self._experts:
                raise ValueError(f"expert={mesh.expert} needs experts: the decoder has no X, write expert=1")
            _divide("X", self.sizes["X"], "expert", mesh.expert)
        if training.sequence:
            _divide("T", self.sizes["T"], "context * tensor", mesh.context * mesh.tensor)
        if mesh.pipeline * training.chunks > self.sizes["L"] + 2:
            raise ValueError(
                f"L={self.sizes['L']} blocks are too few for pipeline={mesh.pipeline} stages of {training.chunks} "
                "chunks: write fewer"
            )
        m = _divide("B", self.sizes["B"], "data * expert * micro", mesh.data * mesh.expert * training.micro)
        if training.chunks > 1 and mesh.pipeline == 1:
            raise ValueError(f"chunks={training.chunks} needs a pipeline of at least 2 stages: write chunks=1")
        if training.chunks > 1 and m % mesh.pipeline:
            raise ValueError(
                f"micro_batches={m} in {training.chunks} chunks on {mesh.pipeline} ranks leave a gap: "
                f"give a multiple of {mesh.pipeline}, or chunks=1"
            )
        return m

    def layers(self, stage: int) -> int:
        """Spread the blocks: the stages in the middle get those that are left."""
        each, left = divmod(self.sizes["L"], self.mesh.pipeline)
        first = (self.mesh.pipeline - left + 1) // 2
        return each + (first <= stage < first + left)

    def rank(self, stage: int) -> RankOfMesh:
        """Put together what a stage has."""
        training, m = self.training, self.micro_batches
        first, last, layers = stage == 0, stage == self.mesh.pipeline - 1, self.layers(stage)
        # where both share a table, and the stages are several, the first and the last hold it
        ends = [self.table] * (first and not (last and self._tied)) + [self.head] * last
        parts = [(self.block, layers), *((end, 1) for end in ends)]
        in_flight = self._in_flight(stage)
        return RankOfMesh(
            stage=stage, layers=layers, micro_batches=m, in_flight=in_flight,
            parameters=sum(times * part["parameters"] for part, times in parts),
            forward=m * sum(times * part["forward"] for part, times in parts),
            backward=m * sum(times * part["backward"] for part, times in parts),
            recomputed=m * layers * self.block["forward"] * (training.checkpoints == "full"),
            attention=m * layers * self.block["attention"],
            held=self._held(parts, layers, in_flight, last),
            transfers=self._transfers(stage, layers, ends),
        )  # fmt: skip

    @property
    def _tied(self) -> bool:
        """Whether the embedding is also the output layer."""
        return self.sizes["tables"] == 1

    def _local(self, part: str) -> _Part:
        """Evaluate a part at the sizes that its letters have on one rank."""
        mesh, sizes = self.mesh, self.sizes
        local = sizes | {letter: sizes[letter] // mesh.tensor for letter in "HGFV"}
        local |= {"B": self.training.micro, "T": sizes["T"] // mesh.context}
        local["S"] = sizes["T"]
        if self._experts:
            local[_HERE.name] = sizes["X"] // mesh.expert
        return _evaluated(part, tuple(sorted(local.items())), self._experts, self.training.causal)

    def _in_flight(self, stage: int) -> int:
        """Count the chunks of micro-batches that wait at the most, in a schedule of one forward, one backward."""
        stages, chunks = self.mesh.pipeline, self.training.chunks
        waiting = stages - stage if chunks == 1 else 2 * (stages - stage - 1) + (chunks - 1) * stages + 1
        return min(waiting, chunks * self.micro_batches)

    def _held(self, parts: list[tuple[_Part, int]], layers: int, in_flight: int, last: bool) -> TrainingMemory:
        """Add up bytes of each kind."""
        formats, training = self.training.formats, self.training
        state = OPTIMIZERS[training.optimizer].state
        moments = state.moments * formats.moments + formats.master
        each = {3: formats.parameters, 2: formats.gradients, 1: moments}  # by the stage of ZeRO that splits them first
        held = [
            sum(
                times * _share(part[kind] * number_bytes, ranks if training.zero >= level else 1)
                for part, times in parts for kind, ranks in (("dense", self._replicas), ("experts", self._of_experts))
            )
            for level, number_bytes in each.items()
        ]  # fmt: skip
        block, head = self.block, self.head
        whole = block["kept"] + block["read"] + self._shared(block["between"])
        kept = {
            "none": whole,
            "selective": block["results"] + self._shared(block["input"] + block["handed_on"]),
            "full": self._shared(block["input"]),
        }[training.checkpoints]
        waiting = -(-layers * in_flight // training.chunks) * kept + (whole if layers and kept is not whole else 0)
        outside = last * (head["read"] + self._shared(head["between"]))
        activations = formats.activations * (waiting + outside) + last * training.loss * head["kept"]
        parameters, gradients, optimizer = held
        return TrainingMemory(parameters, gradients, optimizer, activations)

    def _shared(self, numbers: int) -> int:
        """Return a tensor rank's share of what lies between the split products."""
        return _share(numbers, self.mesh.tensor if self.training.sequence else 1)

    @property
    def _replicas(self) -> int:
        """How many ranks hold the same numbers, where they are not those of experts."""
        return self.mesh.data * self.mesh.context * self.mesh.expert

    @property
    def _of_experts(self) -> int:
        return self.mesh.data * self.mesh.context

    def _transfers(self, stage: int, layers: int, ends: list[_Part]) -> dict[str, tuple[Transfer, ...]]:
        """List the calls along each axis, but for those among one rank or of nothing."""
        found = {
            "tensor": self._along_tensor(stage, layers),
            "context": self._along_context(layers),
            "expert": self._along_expert(layers),
            "pipeline": self._along_pipeline(stage),
            "data": self._along_data(layers, ends),
        }
        return {way: given for way, each in found.items() if (given := tuple(filter(_is_called, each)))}

    @property
    def _tokens(self) -> int:
        """The bytes of what a block reads and gives, of one micro-batch."""
        one = self.training.micro * self.sizes["T"] // self.mesh.context * self.sizes["D"]
        return one * self.training.formats.activations

    def _along_tensor(self, stage: int, layers: int) -> Iterator[Transfer]:
        """Sum what is split along a contracted letter: behind attention, and behind the feed-forward part."""
        t, m = self.mesh.tensor, self.micro_batches
        table, head = stage == 0, stage == self.mesh.pipeline - 1
        if head:  # the largest logit of each token, the sum of exponentials, and the logit of the right one
            tokens = self.training.micro * self.sizes["T"] // self.mesh.context
            yield Transfer("all-reduce", "forward", self.training.loss * tokens, t, 3 * m)
        sums = 2 * layers * (self.training.checkpoints == "full")
        if not self.training.sequence:
            calls = {"forward": 2 * layers + table, "backward": 2 * layers + head, "recomputed": sums}
            yield from (Transfer("all-reduce", phase, self._tokens, t, m * each) for phase, each in calls.items())
            return
        # each rank has seen its own tokens: what they say of a norm's weights is summed
        norm = self.sizes["D"] * self.training.formats.gradients
        yield Transfer("all-reduce", "backward", norm, t, m * (2 * layers + head))
        gathered = 2 * layers * (self.training.checkpoints != "none")  # norms run again, and products read all of them
        for collective, ahead, back, again in (
            ("all-gather", 2 * layers + head, 2 * layers + table, gathered),
            ("reduce-scatter", 2 * layers + table, 2 * layers + head, sums),
        ):
            calls = {"forward": ahead, "backward": back, "recomputed": again}
            yield from (Transfer(collective, phase, self._tokens, t, m * each) for phase, each in calls.items())

    def _along_context(self, layers: int) -> Iterator[Transfer]:
        """Hand keys and values around a ring; on the way back, their gradients, too."""
        c, m = self.mesh.context, self.micro_batches
        keys = self._tokens // self.sizes["D"] * (self.sizes["G"] // self.mesh.tensor) * self.sizes["E"]
        again = {"recomputed": 2} if self.training.checkpoints == "full" else {}
        for phase, tensors in {"forward": 2, **again, "backward": 4}.items():
            for collective in ("send", "receive"):
                yield Transfer(collective, phase, keys, c, m * layers * (c - 1) * tensors)

    def _along_expert(self, layers: int) -> Iterator[Transfer]:
        """Send each token to its experts and back, and its gradient the same ways."""
        e, m = self.mesh.expert, self.micro_batches
        if self._experts:
            rows = self._shared(self._tokens * self.sizes["K"])
            for phase in ("forward", "backward", *["recomputed"] * (self.training.checkpoints == "full")):
                yield Transfer("all-to-all", phase, rows, e, 2 * m * layers)

    def _along_pipeline(self, stage: int) -> Iterator[Transfer]:
        """Hand results to the next stage, and gradients to the one before."""
        stages, chunks, m = self.mesh.pipeline, self.training.chunks, self.micro_batches
        if stages == 1:
            return
        tokens = self._shared(self._tokens)
        ahead, back = chunks - (stage == stages - 1), chunks - (stage == 0)
        for collective, phase, calls in (
            ("receive", "forward", back), ("send", "forward", ahead),
            ("receive", "backward", ahead), ("send", "backward", back),
        ):  # fmt: skip
            yield Transfer(collective, phase, tokens, stages, m * calls)
        if self._tied and stage in (0, stages - 1):  # both ends hold the table
            table = self.table["parameters"] * self.training.formats.gradients
            yield Transfer("all-reduce", "backward", table, 2)

    def _along_data(self, layers: int, ends: list[_Part]) -> Iterator[Transfer]:
        """Sum gradients, and gather what is sharded: each block for itself, and the rest together."""
        block, m, zero, formats = self.block, self.micro_batches, self.training.zero, self.training.formats
        for kind, ranks in (("dense", self._replicas), ("experts", self._of_experts)):
            units = [(block[kind], layers), (sum(end[kind] for end in ends), 1)]
            for place, (numbers, calls) in enumerate(units):
                collective = "reduce-scatter" if zero else "all-reduce"
                times = m if zero > 1 else 1  # sharded gradients are summed anew with each micro-batch
                yield Transfer(collective, "backward", numbers * formats.gradients, ranks, calls * times)
                gathered = numbers * formats.parameters
                if zero in (1, 2):
                    yield Transfer("all-gather", "optimizer", gathered, ranks, calls)
                if zero == 3:
                    yield Transfer("all-gather", "forward", gathered, ranks, calls * m)
                    if place == 0:  # what is not in a block stays gathered until the backward pass
                        yield Transfer("all-gather", "backward", gathered, ranks, calls * m)


def _divide(letter: str, whole: int, way: str, ranks: int) -> int:
    share, left = divmod(whole, ranks)
    if left:
        remedy = f"{letter}={ranks * (share + 1)}" if letter == "V" else f"{way} that divides {whole}"
        raise ValueError(f"{way}={ranks} does not divide {letter}={whole}: write {remedy}")
    return share


def _is_called(one: Transfer) -> bool:
    return bool(one.ranks != 1 and one.payload and one.calls)


def _share(amount: int, ranks: int) -> int:
    """Return the largest share."""
    return -(-amount // ranks)


@cache
def _parts(experts: bool, causal: bool) -> Mapping[str, Mapping[str, Expr]]:
    """Express what each part takes."""
    blocks = attention_part() + (experts_part().at(J=0) if experts else feed_forward_part())
    models = {"block": blocks, "table": embedding(), "head": output_layer() + embedding()}
    norms = {"block": 2, "table": 0, "head": 1}
    routed = matrices * D * F if experts else ZERO  # each expert, of which a block alone has some
    return {
        name: _expressions(model, norms[name], routed if name == "block" else ZERO, causal)
        for name, model in models.items()
    }


def _expressions(model: Model, norms: int, routed: Expr, causal: bool) -> Mapping[str, Expr]:
    keys = (S + 1) / 2 if causal else S
    # what lies between the split products is all that has neither heads nor a hidden width, nor chosen experts
    kept, results = (amount.subs(dict.fromkeys((H, G, F, K, V), 0)) for amount in (model.activations, model.results))
    read = norms * B * T * D  # what norms give, and products with weights read
    dense = sympy.expand(model.parameters - routed * X)
    return {
        "parameters": dense + routed * _HERE,
        "dense": dense,
        "experts": routed * _HERE,
        "forward": model.forward.xreplace({S: keys}),
        "backward": model.backward.xreplace({S: keys}),
        "attention": model.forward.coeff(S) * keys,
        "kept": model.activations - kept,
        "read": read,
        "between": kept - read,
        "results": model.results - results,
        "handed_on": results,
        "input": B * T * D,
    }


@cache
def _evaluated(part: str, local: tuple[tuple[str, int], ...], experts: bool, causal: bool) -> _Part:
    """Evaluate what a part takes at the sizes that a rank has."""
    sizes = dict(local)
    return {name: int(evaluate(amount, sizes)) for name, amount in _parts(experts, causal)[part].items()}
