"""A traced formula is the count of the model at any sizes, phase by phase and module by module."""

import inspect
import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from flopbook.measure import FlopCount
from flopbook.predict import evaluate
from flopbook.specimens import SPECIMENS
from flopbook.specimens.in_torch.layers import GPT, Adapted, Apply, Attention, Residual, SwiGLU
from flopbook.tracing import trace
from flopbook.tracing.run import tensors

# ruff: noqa: PLR0913, PLR0917  (the arguments are sizes, one letter each)


def counted(build, inputs, sizes):
    """The model, built at these sizes and counted."""

    def call(function):
        return function(**{name: sizes[name] for name in inspect.signature(function).parameters})

    model, arguments = call(build), call(inputs)
    with FlopCount() as count:
        answer = model(*arguments) if isinstance(arguments, tuple) else model(arguments)
        results = [t for t in tensors(answer) if t.is_floating_point() and t.requires_grad]
        if results:
            sum(t.sum() for t in results).backward()
    return count


def assert_agrees(traced, build, inputs, sizes):
    """Phases, and every module that the trace names."""
    count = counted(build, inputs, sizes)
    phases = traced.forward, traced.backward, traced.recomputed
    assert tuple(evaluate(phase, sizes) for phase in phases) == (count.forward, count.backward, count.recomputed)
    by_module = count.by_module
    root = next(path for path in by_module if path)
    for path, formula in traced.by_module.items():
        if path and (expected := by_module.get(f"{root}.{path}")):
            values = tuple(evaluate(phase, sizes) for phase in formula)
            assert values == (expected.forward, expected.backward, expected.recomputed), path


def rows(B, D):
    return torch.randn(B, D)


def steps(B, T, D):
    return torch.randn(B, T, D)


def images(B, C, X, Y):
    return torch.randn(B, C, X, Y)


def tokens(B, T):
    return torch.zeros(B, T, dtype=torch.long)


def memory(B, T, S, D):
    return torch.randn(B, T, D), torch.randn(B, S, D)


def mlp(D, F, K):
    return nn.Sequential(nn.Linear(D, F), nn.SiLU(), nn.LayerNorm(F), nn.Linear(F, K, bias=False))


def strided(C, K, R, P):
    return nn.Conv2d(C, K, R, stride=2, padding=P)


def grouped(C, K, G):
    return nn.Conv2d(C, K, 3, groups=G, dilation=2)


def transposed(C, K):
    return nn.ConvTranspose2d(C, K, 3, stride=2)


def cnn(C, D, K):
    first = nn.Conv2d(C, D, 3, padding=1), nn.BatchNorm2d(D), nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(*first, nn.GroupNorm(1, D), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(D, K))


def patches(D, P):
    return Apply(lambda self, x: self.mix(self.cut(x).flatten(2).mT), cut=nn.Conv2d(3, D, P, P), mix=nn.Linear(D, D))


def mixed(X, P, D, F):
    """Patches of a square image, mixed with each other."""
    N = (X // P) ** 2
    layers = nn.Linear(N, F), nn.ReLU(), nn.Linear(F, N)
    return nn.Sequential(nn.Conv2d(3, D, P, P), nn.Flatten(2), *layers)


def lstm(D, H):
    return nn.LSTM(D, H, batch_first=True, bidirectional=True)


def gru(D, H):
    return nn.GRU(D, H, batch_first=True)


def rnn(D, H):
    return nn.RNN(D, H, batch_first=True)


def attention(D, H):
    layer = nn.MultiheadAttention(D, H, batch_first=True)
    return Apply(lambda self, x: self.layer(x, x, x), layer=layer)


def encoder(D, H, F, L):
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(D, H, F, batch_first=True), L, enable_nested_tensor=False)


def decoder(D, H, F):
    return nn.TransformerDecoderLayer(D, H, F, batch_first=True)


def by_hand(D, H):
    """Attention as people write it."""

    def attend(self, x):
        B, T, _ = x.shape
        q, k, v = self.project(x).view(B, T, 3, H, D // H).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        return self.join((scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D))

    return Apply(attend, project=nn.Linear(D, 3 * D), join=nn.Linear(D, D))


def shared_heads(D, H, G):
    """Attention whose first question about its sizes is whether twice half of a head is a head."""
    E = D // H

    def attend(self, x):
        B, T, _ = x.shape
        q, k = (part(x).view(B, T, -1, E).transpose(1, 2) for part in (self.query, self.key))
        angle = torch.outer(torch.arange(T), 10_000 ** (-torch.arange(0, E, 2) / E))
        q, k = (part * torch.cat((angle, angle), dim=-1).cos() for part in (q, k))
        scores = q @ k.repeat_interleave(H // G, dim=1).mT
        return self.join((scores.softmax(-1) @ q).transpose(1, 2).reshape(B, T, D))

    return Apply(attend, query=nn.Linear(D, D), key=nn.Linear(D, G * E), join=nn.Linear(D, D))


def turned(D, H):
    """Attention by hand whose heads are turned by their positions: half of a head's width has to be whole."""

    def turn(x, angle):
        left, right = x.chunk(2, dim=-1)
        return x * angle.cos() + torch.cat((-right, left), dim=-1) * angle.sin()

    def attend(self, x):
        B, T, _ = x.shape
        E = D // H
        q, k, v = self.project(x).view(B, T, 3, H, E).permute(2, 0, 3, 1, 4)
        angle = torch.outer(torch.arange(T), 10_000 ** (-torch.arange(0, E, 2) / E)).repeat(1, 2)
        scores = turn(q, angle) @ turn(k, angle).mT / math.sqrt(E)
        return self.join((scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D))

    return Apply(attend, project=nn.Linear(D, 3 * D), join=nn.Linear(D, D))


def paired(D, H):
    """The width of a head as pairs of numbers, without a word on how many."""

    def pair(self, x):
        B, T, _ = x.shape
        pairs = torch.view_as_complex(self.split(x).view(B, T, H, D // H).reshape(B, T, H, -1, 2))
        return self.join(torch.view_as_real(pairs).flatten(2))

    return Apply(pair, split=nn.Linear(D, D // H * H), join=nn.Linear(D // H * H, D))


def separate_heads(D, H):
    """Every head is a module, and as wide as what remains of a division."""

    def attend(self, x):
        return self.join(torch.cat([head(x).softmax(-1) for head in self.heads], dim=-1))

    heads = nn.ModuleList(nn.Linear(D, D // H) for _ in range(H))
    return Apply(attend, heads=heads, join=nn.Linear(H * (D // H), D))


def heads_beside_a_plain_number(D, H):
    """A width that is rounded before its heads are asked for: a ratio is often no whole number."""

    def attend(self, x):
        B, T, _ = x.shape
        heads = self.up(x).view(B, T, 4, H, D // H).transpose(1, 3)
        return self.down((heads @ heads.mT @ heads).transpose(1, 3).reshape(B, T, -1))

    return Apply(attend, up=nn.Linear(D, int(D * 4.0)), down=nn.Linear(4 * D, D))


def every_second(D, F, L):
    return nn.Sequential(*(mlp(D, F, D) if layer % 2 else nn.Linear(D, D) for layer in range(L)))


def rounded(D):
    F = 4 * int(8 * D / 3 / 4)
    return nn.Sequential(nn.Linear(D, F), nn.SiLU(), nn.Linear(F, D))


def even_together(D, P, L):
    """Layers by two numbers, one of which has to be even."""
    if len(range(P)) * len(range(L)) % 2:
        raise ValueError("an odd number of layers")
    return nn.Sequential(*(nn.Linear(D, D) for _ in range(P * L)))


def beside_a_table(S, D):
    """At most as many steps as two tables have rows: where the tables are small, there is room for few."""

    def step(self, x):
        if len(range(x.shape[1])) > 2 * len(self.table):
            raise ValueError("too many steps")
        return self.layer(x)

    return Apply(step, table=nn.ParameterList(nn.Parameter(torch.ones(D)) for _ in range(S)), layer=nn.Linear(D, D))


def down_and_up(C):
    layers = nn.Conv2d(C, 2 * C, 3, padding=1), nn.MaxPool2d(2), nn.Upsample(scale_factor=2), nn.Conv2d(2 * C, C, 1)
    return nn.Sequential(*layers)


def gpt(V, T, D, H, E, F):
    return GPT(V, T, D, H, E, F)


def llama(T, D, G, R, E, F, L):
    blocks = [
        Residual(nn.RMSNorm(D), layer)
        for _ in range(L)
        for layer in (Attention(T, D, G, R, E, rotary=True, bias=False), SwiGLU(D, F))
    ]
    return nn.Sequential(*blocks)


def adapted(D, R, F, K):
    return nn.Sequential(Adapted(D, R, F), nn.ReLU(), Adapted(F, R, K))


def frozen(D, F, K):
    model = mlp(D, F, K)
    model[0].requires_grad_(False)
    return model


def checkpointed(D, F, L, reentrant, whole):
    """Blocks, each in a checkpoint: as a module, or inside of a function."""

    def run(self, x):
        for block in self.blocks:
            x = checkpoint(block if whole else lambda x, block=block: block(x) + x, x, use_reentrant=reentrant)
        return x

    blocks = (nn.Sequential(nn.Linear(D, F), nn.ReLU(), nn.Linear(F, D)) for _ in range(L))
    return Apply(run, blocks=nn.ModuleList(blocks))


def kept(reentrant, whole):
    def build(D, F, L):
        return checkpointed(D, F, L, reentrant, whole)

    return build


def nested(outer, inner):
    """A checkpoint within a checkpoint: what the outer one runs again without gradients counts, too."""

    def run(self, x):
        inside = partial(checkpoint, self.first, use_reentrant=inner)
        return checkpoint(lambda x: self.second(inside(x)), x, use_reentrant=outer)

    return lambda D: Apply(run, first=nn.Linear(D, D), second=nn.Linear(D, D))


def needed(B, D):
    return torch.randn(B, D, requires_grad=True)


FAMILIES = {
    "MLP": (mlp, rows, dict(B=4, D=6, F=8, K=3), dict(B=1, D=1, F=1, K=1), dict(B=7, D=5, F=13, K=2)),
    "strided": (
        strided, images, dict(B=2, C=3, K=4, R=3, P=1, X=12, Y=9),
        dict(B=1, C=1, K=1, R=1, P=1, X=1, Y=1), dict(B=3, C=2, K=5, R=2, P=2, X=7, Y=13),
    ),
    "grouped": (
        grouped, images, dict(B=2, C=6, K=4, G=2, X=12, Y=9),
        dict(B=1, C=1, K=1, G=1, X=5, Y=5), dict(B=3, C=3, K=9, G=3, X=7, Y=13),
    ),
    "transposed": (transposed, images, dict(B=2, C=3, K=4, X=6, Y=5), dict(B=1, C=1, K=1, X=1, Y=1)),
    "CNN": (cnn, images, dict(B=2, C=3, D=4, K=5, X=8, Y=6), dict(B=3, C=1, D=7, K=1, X=5, Y=11)),
    "patches": (
        patches, lambda B, X, Y: torch.randn(B, 3, X, Y), dict(B=2, D=6, P=4, X=16, Y=12),
        dict(B=1, D=1, P=1, X=1, Y=1), dict(B=1, D=5, P=3, X=11, Y=13),
    ),
    "mixed": (
        mixed, lambda B, X: torch.randn(B, 3, X, X), dict(B=2, D=6, P=4, X=16, F=5),
        dict(B=1, D=1, P=1, X=1, F=1), dict(B=3, D=5, P=3, X=11, F=7),
    ),
    "LSTM": (lstm, steps, dict(B=3, T=5, D=4, H=6), dict(B=1, T=1, D=1, H=1), dict(B=2, T=7, D=3, H=5)),
    "GRU": (gru, steps, dict(B=3, T=5, D=4, H=6), dict(B=1, T=1, D=1, H=1), dict(B=2, T=7, D=3, H=5)),
    "RNN": (rnn, steps, dict(B=3, T=5, D=4, H=6), dict(B=1, T=1, D=1, H=1), dict(B=2, T=7, D=3, H=5)),
    "attention": (attention, steps, dict(B=3, T=5, D=8, H=2), dict(B=1, T=1, D=3, H=3), dict(B=2, T=7, D=15, H=5)),
    "encoder": (
        encoder, steps, dict(B=3, T=5, D=8, H=2, F=12, L=6),
        dict(B=1, T=1, D=3, H=3, F=1, L=1), dict(B=2, T=7, D=10, H=5, F=3, L=3),
    ),
    "decoder": (
        decoder, memory, dict(B=3, T=5, S=4, D=8, H=2, F=12),
        dict(B=1, T=1, S=1, D=3, H=3, F=1), dict(B=2, T=7, S=11, D=10, H=5, F=3),
    ),
    "shared heads": (
        shared_heads, steps, dict(B=3, T=5, D=16, H=4, G=2),
        dict(B=1, T=1, D=4, H=2, G=1), dict(B=2, T=7, D=36, H=6, G=3),
    ),
    "separate heads": (
        separate_heads, rows, dict(B=3, D=8, H=2), dict(B=1, D=3, H=3), dict(B=2, D=15, H=5)
    ),
    "heads beside a plain number": (
        heads_beside_a_plain_number, steps, dict(B=3, T=5, D=12, H=3),
        dict(B=1, T=1, D=3, H=3), dict(B=2, T=7, D=20, H=5),
    ),
    "every second": (every_second, rows, dict(B=3, D=5, F=7, L=6), dict(B=1, D=1, F=1, L=2), dict(B=2, D=3, F=4, L=10)),
    "rounded": (rounded, rows, dict(B=3, D=24), dict(B=1, D=3), dict(B=2, D=33)),
    "even together": (
        even_together, rows, dict(B=3, D=5, P=2, L=6), dict(B=1, D=1, P=2, L=1), dict(B=2, D=3, P=4, L=3)
    ),
    "beside a table": (
        beside_a_table, steps, dict(B=3, T=5, D=8, S=16), dict(B=1, T=1, D=1, S=1), dict(B=2, T=7, D=3, S=5)
    ),
    "down and up": (
        down_and_up, images, dict(B=3, C=4, X=8, Y=12),
        dict(B=1, C=1, X=2, Y=2), dict(B=2, C=3, X=10, Y=6),
    ),
    "by hand": (by_hand, steps, dict(B=3, T=5, D=8, H=2), dict(B=1, T=1, D=3, H=3), dict(B=2, T=7, D=15, H=5)),
    "turned": (turned, steps, dict(B=3, T=5, D=8, H=2), dict(B=1, T=1, D=6, H=3), dict(B=2, T=7, D=20, H=5)),
    "paired": (paired, steps, dict(B=3, T=5, D=8, H=2), dict(B=1, T=1, D=6, H=3), dict(B=2, T=7, D=20, H=5)),
    "GPT": (
        gpt, tokens, dict(B=2, T=7, V=50, D=16, H=2, E=8, F=40),
        dict(B=1, T=1, V=1, D=1, H=1, E=2, F=1), dict(B=3, T=5, V=11, D=7, H=3, E=4, F=13),
    ),
    "Llama": (
        llama, steps, dict(B=2, T=7, D=10, G=2, R=3, E=4, F=18, L=9),
        dict(B=1, T=1, D=1, G=1, R=2, E=2, F=1, L=1), dict(B=3, T=5, D=7, G=3, R=2, E=6, F=11, L=4),
    ),
    "LoRA": (adapted, rows, dict(B=6, D=10, R=2, F=14, K=5), dict(B=1, D=1, R=1, F=1, K=1)),
    "frozen": (frozen, rows, dict(B=4, D=6, F=8, K=3), dict(B=1, D=1, F=1, K=1), dict(B=7, D=5, F=13, K=2)),
    **{
        f"checkpoint, reentrant={reentrant}, whole={whole}": (
            kept(reentrant, whole), needed, dict(B=3, D=5, F=7, L=5),
            dict(B=1, D=1, F=1, L=1), dict(B=2, D=3, F=11, L=7),
        )
        for reentrant in (False, True)
        for whole in (False, True)
    },
    **{
        f"nested checkpoints, reentrant={outer} and {inner}": (
            nested(outer, inner), needed, dict(B=3, D=4), dict(B=1, D=1), dict(B=2, D=7)
        )
        for outer in (False, True)
        for inner in (False, True)
    },
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_traced_is_counted(family):
    build, inputs, sizes, *others = FAMILIES[family]
    traced = trace(build, inputs, sizes)
    for at in (sizes, *others):
        assert_agrees(traced, build, inputs, at)


@pytest.mark.parametrize("specimen", SPECIMENS, ids=str)
def test_specimens(specimen):
    """Models whose sizes are plain numbers: the formula is a number, and equals the derivation."""
    if specimen.name.startswith("Mixture"):
        pytest.skip("the experts are chosen by the data")
    traced = trace(lambda: specimen.build()[0], lambda: specimen.build()[1], {})
    assert (traced.forward, traced.backward, traced.recomputed) == (
        specimen.forward, specimen.backward, specimen.recomputed
    )  # fmt: skip


class Block(nn.Module):
    def __init__(self, D, F):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(D), nn.Linear(D, F), nn.Linear(F, D)

    def forward(self, x):
        return x + self.down(self.up(self.norm(x)).relu())


@pytest.mark.parametrize("trainable", [0, 1, 3, 5])
def test_layers_that_differ_only_in_what_is_trained(trainable):
    def build(D, F):
        layers = [Block(D, F).requires_grad_(number < trainable) for number in range(5)]
        return nn.Sequential(*layers)

    traced = trace(build, rows, dict(B=2, D=3, F=4))
    assert_agrees(traced, build, rows, dict(B=5, D=7, F=11))


class Sided(nn.Module):
    """A second result, which only the last layer's counts."""

    def __init__(self, D):
        super().__init__()
        self.main, self.side = nn.Linear(D, D), nn.Linear(D, 2 * D)

    def forward(self, x):
        return self.main(x), self.side(x)


def test_layers_whose_results_are_used_differently():
    def run(self, x):
        for layer in self.layers:
            x, side = layer(x)
        return x, side

    def build(D):
        return Apply(run, layers=nn.ModuleList(Sided(D) for _ in range(4)))

    assert_agrees(trace(build, rows, dict(B=2, D=3)), build, rows, dict(B=5, D=7))


class Configured(Sided):
    """A layer that holds what every build makes anew."""

    def __init__(self, D):
        super().__init__(D)
        self.config = object()


def test_layers_that_hold_a_configuration_and_drop_a_result():
    def run(self, x):
        x, side = self.one(self.first(x))
        x, _ = self.two(x)
        return x.sum() + side.sum()

    def build(D):
        return Apply(run, first=nn.Linear(D, D), one=Configured(D), two=Configured(D))

    traced = trace(build, rows, dict(B=2, D=3))
    assert (str(traced.forward), str(traced.backward)) == ("14*B*D**2", "18*B*D**2")
    assert_agrees(traced, build, rows, dict(B=5, D=7))


class Noting(nn.Module):
    """Leaves a second result where the model finds it."""

    def __init__(self, D):
        super().__init__()
        self.main, self.side = nn.Linear(D, D), nn.Linear(D, 2 * D)

    def forward(self, x):
        self.noted = self.side(x)
        return self.main(x)


def test_layers_with_side_effects():
    def run(self, x):
        for layer in self.layers:
            x = layer(x)
        return x, sum(layer.noted for layer in self.layers)

    def build(D):
        return Apply(run, layers=nn.ModuleList(Noting(D) for _ in range(4)))

    assert_agrees(trace(build, rows, dict(B=2, D=3)), build, rows, dict(B=5, D=7))


class Numbered(nn.Module):
    """Goes by its number."""

    def __init__(self, number, D):
        super().__init__()
        self.number, self.first, self.second = number, nn.Linear(D, D), nn.Linear(D, D)

    def forward(self, x):
        return self.first(x) if self.number % 2 else self.second(self.first(x))


def test_layers_that_go_by_their_number():
    def build(D):
        return nn.Sequential(*(Numbered(number, D) for number in range(5)))

    assert_agrees(trace(build, rows, dict(B=2, D=3)), build, rows, dict(B=5, D=7))


SIZE = st.sampled_from([1, 2, 3, 4, 5, 7])
LAYERS = st.sampled_from(["linear", "plain", "gate", "norm", "block", "frozen"])


def network(kinds, widths):
    """A random network: where a layer keeps the width, it ends with a layer to the next width."""
    layers: list[nn.Module] = []
    for kind, (D, K) in zip(kinds, pairwise(widths), strict=True):
        if kind == "norm":
            layers.append(nn.LayerNorm(D))
        if kind == "gate":
            layers.append(SwiGLU(D, K))
        if kind == "block":
            layers += [Block(D, K), Block(D, K)]
        layers += [nn.ReLU(), nn.Linear(D, K, bias=kind != "plain").requires_grad_(kind != "frozen")]
    return nn.Sequential(*layers)


@settings(max_examples=8)
@given(st.lists(LAYERS, min_size=1, max_size=3), st.lists(SIZE, min_size=10, max_size=10), st.booleans())
def test_random_networks(kinds, numbers, needs_gradient):
    widths = ["D", "F", "H", "K"][: len(kinds) + 1]

    def build(D, F, H, K):
        return network(kinds, [D, F, H, K][: len(kinds) + 1])

    def inputs(B, D):
        return torch.randn(B, D, requires_grad=needs_gradient)

    letters = ["B", *widths]
    source = f"lambda {', '.join(widths)}: network(kinds, [{', '.join(widths)}])"
    built = eval(source, {"network": network, "kinds": kinds})
    sizes = dict(zip(letters, numbers[:5], strict=False))
    traced = trace(built, inputs, sizes)
    assert_agrees(traced, built, inputs, dict(zip(letters, numbers[5:], strict=False)))


@pytest.mark.parametrize("family", ["mixed", "paired", "turned"])
def test_sizes_of_sizes_stay_letters(family):
    build, inputs, sizes, *_ = FAMILIES[family]
    assert trace(build, inputs, sizes).way.endswith("stayed letters.")


def test_a_forgotten_product_shows():
    traced = trace(mlp, rows, dict(B=4, D=6, F=8, K=3))

    def shorter(D, F, K):
        return mlp(D, F, K)[:-1]

    with pytest.raises(AssertionError):
        assert_agrees(traced, shorter, rows, dict(B=4, D=6, F=8, K=3))
