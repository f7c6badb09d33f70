"""Draw random networks, whose layers know their cost on paper and build themselves in PyTorch.

Between layers there is always a batch of B sequences of T vectors of width D.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

SIZES = st.sampled_from([1, 2, 3, 5, 7])


class Data(NamedTuple):
    """Describes the data between two layers."""

    B: int
    T: int
    D: int
    #: Whether it needs a gradient.
    needs: bool
    #: Whether operators that run on it are recorded for a backward pass.
    recorded: bool = True


class Cost(NamedTuple):
    """Holds the FLOPs of one product, in each phase."""

    forward: int = 0
    backward: int = 0
    recomputed: int = 0
    #: The part of all phases that stands for pairs that a mask leaves out.
    masked: int = 0
    #: Whether it keeps a tensor for the backward pass: before it runs, or after (which only a second full run gives).
    keeps: str = ""
    #: Whether PyTorch's own counter has the right rule.
    known: bool = True


class Lambda(nn.Module):
    """Runs a function of data and layers."""

    def __init__(self, function: Callable[..., torch.Tensor], *layers: nn.Module):
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, *self.layers)


def freeze(layer: nn.Module, frozen: bool) -> nn.Module:
    return layer.requires_grad_(not frozen)


@dataclass(frozen=True)
class Linear:
    """Multiplies each vector by a matrix."""

    width: int
    bias: bool = True
    frozen: bool = False
    bias_frozen: bool = False
    written: str = "linear"  # or as matmul, or as einsum

    def cost(self, x: Data) -> tuple[list[Cost], Data]:
        outer = self.written == "einsum" and x.D == 1  # einsum multiplies pointwise where nothing is summed
        product = 0 if outer else 2 * x.B * x.T * x.D * self.width
        trains = x.recorded and not self.frozen
        keeps = "before" if x.needs or trains else ""
        biased = x.recorded and self.bias and not self.bias_frozen
        out = x._replace(D=self.width, needs=x.needs or trains or biased)
        return [Cost(product, product * (x.needs + trains), keeps=keeps)], out

    def build(self, x: Data) -> nn.Module:
        layer = nn.Linear(x.D, self.width, bias=self.bias)
        layer.weight.requires_grad_(not self.frozen)
        if self.bias:
            layer.bias.requires_grad_(not self.bias_frozen)
        added = layer.bias if self.bias else 0
        if self.written == "linear":
            return layer
        if self.written == "matmul":
            return Lambda(lambda x, layer: x @ layer.weight.T + added, layer)
        return Lambda(lambda x, layer: torch.einsum("btd,kd->btk", x, layer.weight) + added, layer)


@dataclass(frozen=True)
class Convolution:
    """Convolves along the sequence, or over it as a picture with one channel."""

    channels: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    transposed: bool = False
    frozen: bool = False
    picture: bool = False

    def places(self, size: int) -> int:
        if self.transposed:
            return (size - 1) * self.stride - 2 * self.padding + self.kernel
        return (size + 2 * self.padding - self.kernel) // self.stride + 1

    def fits(self, x: Data) -> bool:
        sizes = (x.T, x.D) if self.picture else (x.T,)
        inside = 1 if self.picture else x.D
        enough = all(size + 2 * self.padding >= self.kernel or self.transposed for size in sizes)
        divides = inside % self.groups == 0 and self.channels % self.groups == 0
        return enough and divides and all(self.places(size) > 0 for size in sizes)

    def cost(self, x: Data) -> tuple[list[Cost], Data]:
        if self.picture:
            out = x._replace(T=self.places(x.T), D=self.places(x.D))
            multiplied = x.T * x.D if self.transposed else out.T * out.D
            product = 2 * x.B * multiplied * self.channels * self.kernel**2
        else:
            out = x._replace(T=self.places(x.T), D=self.channels)
            multiplied = x.T if self.transposed else out.T
            product = 2 * x.B * multiplied * x.D * self.channels * self.kernel // self.groups
        trains = x.recorded and not self.frozen
        known = self.groups == 1 or not trains
        keeps = "before" if x.needs or trains else ""
        return [Cost(product, product * (x.needs + trains), keeps=keeps, known=known)], out._replace(
            needs=x.needs or trains
        )

    def build(self, x: Data) -> nn.Module:
        kinds = {
            (False, False): nn.Conv1d, (False, True): nn.ConvTranspose1d,
            (True, False): nn.Conv2d, (True, True): nn.ConvTranspose2d,
        }  # fmt: skip
        options = {"stride": self.stride, "padding": self.padding, "groups": self.groups}
        kind: Any = kinds[self.picture, self.transposed]
        layer = freeze(kind(1 if self.picture else x.D, self.channels, self.kernel, **options), self.frozen)
        if self.picture:
            return Lambda(lambda x, layer: layer(x.unsqueeze(1)).sum(1), layer)
        return Lambda(lambda x, layer: layer(x.mT).mT, layer)


@dataclass(frozen=True)
class Attention:
    """Runs attention of several heads, fused or not, masked or not, behind three projections."""

    query: Linear
    key: Linear
    value: Linear
    heads: int = 1
    fused: bool = False
    mask: str = ""  # or causal, or a window as a tensor

    def cost(self, x: Data) -> tuple[list[Cost], Data]:
        projections = [layer.cost(x) for layer in (self.query, self.key, self.value)]
        costs = [cost for layer, _ in projections for cost in layer]
        query, key, value = (out.needs for _, out in projections)
        product = 2 * x.B * x.T * x.T * self.query.width
        share = x.T * (x.T - 1) // 2 if self.mask == "causal" else max(x.T - 2, 0) * (x.T - 1)
        masked = 2 * x.B * share * self.query.width if self.mask else 0
        scores, needs = query or key, query or key or value
        if self.fused:
            keeps = "after" if needs else ""
            costs.append(Cost(2 * product, 5 * needs * product, 0, (2 + 5 * needs) * masked, keeps, known=False))
        else:
            costs += [
                Cost(product, product * (query + key), keeps="before" if scores else ""),
                Cost(product, product * (scores + value), keeps="before" if needs else ""),
            ]
        return costs, x._replace(D=self.query.width, needs=needs)

    def build(self, x: Data) -> nn.Module:
        kernel = SDPBackend.FLASH_ATTENTION if self.fused else SDPBackend.MATH
        place = torch.arange(x.T)
        window = (place[:, None] - place).abs() <= 1 if self.mask == "window" else None

        def attend(x, *projections):
            # the fused kernel takes no rows with gaps, which an einsum may leave
            projected = (layer(x).contiguous() for layer in projections)
            query, key, value = (vectors.unflatten(2, (self.heads, -1)).transpose(1, 2) for vectors in projected)
            with sdpa_kernel(kernel):
                out = F.scaled_dot_product_attention(query, key, value, window, is_causal=self.mask == "causal")
            return out.transpose(1, 2).flatten(2)

        return Lambda(attend, *(layer.build(x) for layer in (self.query, self.key, self.value)))


@dataclass(frozen=True)
class Scores:
    """Multiplies every vector by every other, behind two projections."""

    left: Linear
    right: Linear

    def cost(self, x: Data) -> tuple[list[Cost], Data]:
        (lefts, left), (rights, right) = self.left.cost(x), self.right.cost(x)
        product = 2 * x.B * x.T * x.T * self.left.width
        needs = left.needs or right.needs
        cost = Cost(product, product * (left.needs + right.needs), keeps="before" if needs else "")
        return [*lefts, *rights, cost], x._replace(D=x.T, needs=needs)

    def build(self, x: Data) -> nn.Module:
        return Lambda(lambda x, left, right: left(x) @ right(x).mT, self.left.build(x), self.right.build(x))


@dataclass(frozen=True)
class Recurrent:
    """Runs a recurrent network of one layer or two, in one direction or both."""

    kind: str
    width: int
    layers: int = 1
    directions: int = 1
    frozen: bool = False

    def cost(self, x: Data) -> tuple[list[Cost], Data]:
        gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[self.kind]
        trains = x.recorded and not self.frozen
        inside, needs, costs = x.D, x.needs, []
        for _ in range(self.layers):
            data = 2 * x.B * x.T * gates * self.width * inside
            state = 2 * x.B * gates * self.width * self.width  # of one step
            backward = (data + x.T * state) * trains + data * needs + (x.T - 1) * state * (trains or needs)
            keeps = "after" if trains or needs else ""
            costs += [Cost(data + x.T * state, backward, keeps=keeps, known=self.kind != "LSTM")] * self.directions
            inside, needs = self.width * self.directions, needs or trains
        return costs, x._replace(D=inside, needs=needs)

    def build(self, x: Data) -> nn.Module:
        kind = getattr(nn, self.kind)
        layer = kind(x.D, self.width, self.layers, batch_first=True, bidirectional=self.directions == 2)
        return Lambda(lambda x, layer: layer(x)[0], freeze(layer, self.frozen))


@dataclass(frozen=True)
class Pointwise:
    """Runs a layer without any product."""

    kind: str

    def cost(self, x: Data) -> tuple[list[Cost], Data]:
        needs = x.needs or (self.kind == "LayerNorm" and x.recorded)
        return [Cost(keeps="after" if needs else "")], x._replace(needs=needs)

    def build(self, x: Data) -> nn.Module:
        made = {"LayerNorm": lambda: nn.LayerNorm(x.D), "Softmax": lambda: nn.Softmax(2), "Dropout": nn.Dropout}
        return made.get(self.kind, getattr(nn, self.kind))()


@dataclass(frozen=True)
class Sequence:
    """Runs layers one after the other."""

    layers: tuple

    def cost(self, x: Data) -> tuple[list[Cost], Data]:
        costs = []
        for layer in self.layers:
            more, x = layer.cost(x)
            costs += more
        return costs, x

    def build(self, x: Data) -> nn.Module:
        built = []
        for layer in self.layers:
            built.append(layer.build(x))
            x = layer.cost(x)[1]
        return nn.Sequential(*built)


@dataclass(frozen=True)
class Residual:
    """Adds the data to a network's result, where both have the same shape."""

    inner: Any

    def cost(self, x: Data) -> tuple[list[Cost], Data]:
        costs, out = self.inner.cost(x)
        return costs, out._replace(needs=out.needs or (x.needs and out[:3] == x[:3]))

    def build(self, x: Data) -> nn.Module:
        return Lambda(
            lambda x, inner: x + y if (y := inner(x)).shape == x.shape else y,
            self.inner.build(x),
        )


@dataclass(frozen=True)
class Twice:
    """Applies one network twice, where its result has the shape of its data."""

    inner: Any

    def calls(self, x: Data) -> int:
        return 2 if self.inner.cost(x)[1] == x else 1

    def cost(self, x: Data) -> tuple[list[Cost], Data]:
        return Sequence((self.inner,) * self.calls(x)).cost(x)

    def build(self, x: Data) -> nn.Module:
        inner = self.inner.build(x)
        return nn.Sequential(*[inner] * self.calls(x))


@dataclass(frozen=True)
class Checkpoint:
    """Runs a network again in its backward pass, in whole or as far as needed."""

    inner: Any
    reentrant: bool = False

    def cost(self, x: Data) -> tuple[list[Cost], Data]:
        costs, out = self.inner.cost(x)
        keeping = [number for number, cost in enumerate(costs) if cost.keeps]
        again: list[Cost] = []
        if self.reentrant and x.needs:
            again = costs
        elif keeping and not self.reentrant:
            again = costs[: keeping[-1] + (costs[keeping[-1]].keeps == "after")]
        masked = sum(cost.masked for cost in costs)
        if again:
            plain = self.inner.cost(x._replace(needs=False, recorded=False))[0]  # the masks of a forward pass alone
            masked += sum(cost.masked for cost in plain[: len(again)])
        whole = Cost(
            sum(cost.forward for cost in costs),
            sum(cost.backward for cost in costs),
            sum(cost.forward for cost in again),
            masked,
            known=all(cost.known for cost in costs) and not self.reentrant,  # at a module in there it fails
        )
        return [whole], out

    def build(self, x: Data) -> nn.Module:
        return Lambda(lambda x, inner: checkpoint(inner, x, use_reentrant=self.reentrant), self.inner.build(x))


@dataclass(frozen=True)
class Unrecorded:
    """Runs a network under `torch.no_grad`, for data without a gradient."""

    inner: Any

    def cost(self, x: Data) -> tuple[list[Cost], Data]:
        costs, out = self.inner.cost(x._replace(recorded=False))
        return costs, out._replace(recorded=x.recorded)

    def build(self, x: Data) -> nn.Module:
        return Lambda(torch.no_grad()(lambda x, inner: inner(x)), self.inner.build(x._replace(recorded=False)))


@dataclass(frozen=True)
class Network:
    """Holds a network, its number format, and its data."""

    data: Data
    inner: Any
    dtype: str = "float32"

    def costs(self) -> list[Cost]:
        return self.inner.cost(self.data)[0]

    def trains(self) -> bool:
        return self.inner.cost(self.data)[1].needs

    def build(self) -> tuple[nn.Module, torch.Tensor]:
        dtype = getattr(torch, self.dtype)
        x = torch.randn(*self.data[:3], dtype=dtype, requires_grad=self.data.needs)
        return self.inner.build(self.data).to(dtype), x


@st.composite
def linears(draw, width: int | None = None) -> Linear:
    return Linear(
        width or draw(SIZES),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.sampled_from(["linear", "matmul", "einsum"])),
    )


@st.composite
def attentions(draw) -> Attention:
    heads = draw(st.sampled_from([1, 2, 3]))
    width = heads * draw(SIZES)
    projections = [draw(linears(width)) for _ in range(3)]
    return Attention(*projections, heads, draw(st.booleans()), draw(st.sampled_from(["", "causal", "window"])))


@st.composite
def scores(draw) -> Scores:
    width = draw(SIZES)
    return Scores(draw(linears(width)), draw(linears(width)))


CONVOLUTIONS = st.builds(
    Convolution,
    channels=st.sampled_from([1, 2, 3, 4, 6]),
    kernel=st.sampled_from([1, 2, 3]),
    stride=st.sampled_from([1, 2, 3]),
    padding=st.sampled_from([0, 1]),
    groups=st.sampled_from([1, 1, 2, 3]),
    transposed=st.booleans(),
    frozen=st.booleans(),
    picture=st.booleans(),
)
RECURRENT = st.builds(
    Recurrent, st.sampled_from(["RNN", "GRU", "LSTM"]), SIZES, st.integers(1, 2), st.integers(1, 2), st.booleans()
)
POINTWISE = st.builds(Pointwise, st.sampled_from(["GELU", "ReLU", "Tanh", "Softmax", "LayerNorm", "Dropout"]))
LEAVES = st.one_of(linears(), CONVOLUTIONS, attentions(), scores(), RECURRENT, POINTWISE)


@st.composite
def sequences(draw, x: Data, depth: int, checkpoints: bool) -> Sequence:
    """Draw layers of every family, nested to a depth, whose shapes fit."""
    layers: list[Any] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["leaf", "leaf", "leaf", "residual", "twice", "checkpoint", "unrecorded"]))
        impossible = (kind == "checkpoint" and not checkpoints) or (kind == "unrecorded" and x.needs)
        if kind == "leaf" or not depth or impossible:
            layer = draw(LEAVES.filter(lambda leaf, x=x: not isinstance(leaf, Convolution) or leaf.fits(x)))
        elif kind == "checkpoint":
            layer = Checkpoint(draw(sequences(x, depth - 1, checkpoints=False)), x.needs and draw(st.booleans()))
        elif kind == "unrecorded":
            layer = Unrecorded(draw(sequences(x._replace(recorded=False), depth - 1, checkpoints=False)))
        else:
            inner = draw(sequences(x, depth - 1, checkpoints))
            layer = Residual(inner) if kind == "residual" else Twice(inner)
        layers.append(layer)
        x = layer.cost(x)[1]
    return Sequence(tuple(layers))


@st.composite
def networks(draw) -> Network:
    """Draw a random network with its data."""
    data = Data(draw(SIZES), draw(SIZES), draw(SIZES), draw(st.booleans()))
    inner = draw(sequences(data, depth=2, checkpoints=True))
    return Network(data, inner, draw(st.sampled_from(["float32", "float64", "bfloat16"])))
