"""Test adapted networks drawn at random: predicted == counted, merged == plain, and bytes."""

from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sympy import expand
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from flopbook.comparison import compare
from flopbook.measure import FlopCount, profile_flops
from flopbook.measure.memory import weigh
from flopbook.predict import D, F, K, evaluate, flops, matmul, training_step
from flopbook.predict.memory import Formats, training_memory
from flopbook.predict.models import decoder_block, dora, fine_tunings, lora, nf4_bytes, vectors
from flopbook.tracing import trace

some = settings(max_examples=12)
BYTES = {torch.float32: 4, torch.bfloat16: 2, torch.float64: 8}


class Lora(nn.Module):
    """Runs a frozen layer and a detour beside it."""

    def __init__(self, D, K, R, bias=True):
        super().__init__()
        self.frozen = nn.Linear(D, K, bias).requires_grad_(False)
        self.a, self.b = nn.Parameter(torch.randn(R, D)), nn.Parameter(torch.randn(K, R))
        self.dropout = nn.Dropout(0.0)

    def forward(self, x):
        return self.frozen(x) + 2 * ((self.dropout(x) @ self.a.T) @ self.b.T)

    def merged(self):
        """Return one layer that answers the same."""
        layer = deepcopy(self.frozen)
        layer.weight.data += 2 * (self.b @ self.a)
        return layer


class Dora(Lora):
    """Rescales each column of the adapted weight, too."""

    def __init__(self, D, K, R, bias=True):
        super().__init__(D, K, R, bias)
        self.lengths = nn.Parameter(torch.randn(K))

    def forward(self, x):
        with torch.no_grad():
            norms = torch.linalg.vector_norm(self.frozen.weight + 2 * (self.b @ self.a), dim=1)
        direction = x @ self.frozen.weight.T + 2 * ((x @ self.a.T) @ self.b.T)
        scaled = direction * (self.lengths / norms)
        return scaled if self.frozen.bias is None else scaled + self.frozen.bias


class Scaled(nn.Module):
    """Multiplies what a frozen layer makes by a trained vector, as IA3 does."""

    def __init__(self, D, K, bias=True):
        super().__init__()
        self.frozen, self.vector = nn.Linear(D, K, bias).requires_grad_(False), nn.Parameter(torch.randn(K))

    def forward(self, x):
        return self.frozen(x) * self.vector


@dataclass(frozen=True)
class Network:
    """Holds widths, the batch's axes, a rank, and which layers are adapted, trained or frozen."""

    widths: tuple[int, ...]
    batch: tuple[int, ...]
    rank: int
    kinds: tuple[str, ...]
    biases: tuple[bool, ...]
    data_needs: bool

    @property
    def sizes(self):
        letters = [f"B{i}" for i in range(len(self.batch))] + [f"D{i}" for i in range(len(self.widths))]
        return dict(zip(letters, self.batch + self.widths, strict=True)) | {"R": self.rank}

    @property
    def layers(self):
        batch = [f"B{i}" for i in range(len(self.batch))]
        h = [f"h{i}[{','.join([*batch, f'D{i}'])}]" for i in range(len(self.widths))]
        return [matmul(f"{h[i]} @ w{i}[D{i},D{i + 1}] -> {h[i + 1]}") for i in range(len(self.kinds))]

    def of_kind(self, kind):
        return [f"w{i}" for i, one in enumerate(self.kinds) if one == kind]

    @property
    def options(self):
        return {"data": () if self.data_needs else "h0", "frozen": self.of_kind("frozen")}

    @property
    def step(self):
        """Predict the step; a network has either detours or vectors."""
        if self.of_kind("vector"):
            return vectors(*self.layers, behind=self.of_kind("vector"), **self.options)
        derive, kind = (dora, "dora") if self.of_kind("dora") else (lora, "lora")
        return derive(*self.layers, adapted=self.of_kind(kind), **self.options)

    def model(self):
        """Build the network, which knows nothing of the prediction but the sizes."""
        build = {
            "trained": nn.Linear,
            "frozen": lambda D, K, bias: nn.Linear(D, K, bias).requires_grad_(False),
            "lora": lambda D, K, bias: Lora(D, K, self.rank, bias),
            "dora": lambda D, K, bias: Dora(D, K, self.rank, bias),
            "vector": Scaled,
        }
        layers = zip(self.kinds, pairwise(self.widths), self.biases, strict=True)
        return nn.Sequential(*(build[kind](D, K, bias) for kind, (D, K), bias in layers))

    def build(self, dtype=torch.float32, device="cpu"):
        with torch.device(device):
            model = self.model().to(dtype)
            x = torch.ones(*self.batch, self.widths[0], dtype=dtype, requires_grad=self.data_needs)

        def run():
            loss = model(x).square().mean()
            if loss.requires_grad:
                loss.backward()

        return run


@st.composite
def networks(draw, adapters=("lora", "dora", "vector")):
    depth, size, own = draw(st.integers(1, 4)), st.integers(1, 17), draw(st.sampled_from(adapters))
    return Network(
        widths=tuple(draw(size) for _ in range(depth + 1)),
        batch=tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))),
        rank=draw(st.integers(1, 25)),  # also wider than the layer
        kinds=tuple(draw(st.sampled_from([own, own, "trained", "frozen"])) for _ in range(depth)),
        biases=tuple(draw(st.booleans()) for _ in range(depth)),
        data_needs=draw(st.booleans()),
    )


RANK_1 = Network((5, 7, 3), (4,), 1, ("lora", "lora"), (True, False), data_needs=False)
WIDE = Network((5, 7, 3), (4,), 19, ("frozen", "lora"), (True, False), data_needs=True)
DORA = Network((5, 7, 3, 2), (4, 3), 2, ("dora", "frozen", "dora"), (True,) * 3, data_needs=False)
IA3 = Network((5, 7, 3, 2), (4,), 1, ("frozen", "vector", "frozen"), (False,) * 3, data_needs=False)


def count(network, **where):
    with FlopCount() as counted:
        network.build(**where)()
    return counted


@some
@given(network=networks(), dtype=st.sampled_from(list(BYTES)))
@example(network=RANK_1, dtype=torch.float32)
@example(network=WIDE, dtype=torch.bfloat16)
@example(network=DORA, dtype=torch.float32)
@example(network=IA3, dtype=torch.float64)
def test_predicted_and_counted_agree(network, dtype):
    table = compare(network.step, count(network, dtype=dtype), sizes=network.sizes)
    assert table.agrees, table


@some
@given(network=networks(), number=st.integers(0, 30))
@example(network=DORA, number=3)
def test_a_step_with_a_product_forgotten_disagrees(without, network, number):
    assert not compare(without(network.step, number), count(network), sizes=network.sizes).agrees


@pytest.mark.parametrize("network", [RANK_1, WIDE, DORA, IA3], ids=["rank 1", "wider than the layer", "DoRA", "IA3"])
def test_the_profiler_and_torchs_own_counter_agree(network):
    run = network.build(device="cpu")
    counted, profiled = count(network, device="cpu"), profile_flops(run)
    assert compare(network.step, counted, profiled, sizes=network.sizes).agrees
    with FlopCounterMode(display=False) as theirs:
        run()
    assert theirs.get_total_flops() == evaluate(network.step.flops, network.sizes)


@some
@given(network=networks(adapters=["lora"]), tokens=st.integers(1, 9))
def test_merged_answers_the_same_with_the_flops_of_plain_layers(network, tokens):
    torch.manual_seed(0)
    model = network.model().double()
    plain = nn.Sequential(*(layer.merged() if isinstance(layer, Lora) else layer for layer in model))
    x = torch.randn(tokens, network.widths[0], dtype=torch.float64)
    with torch.no_grad(), FlopCount() as counted:
        y = plain(x)
    assert torch.allclose(model(x), y)
    sizes = network.sizes | {"B0": tokens}
    layers = Network(network.widths, (tokens,), 1, network.kinds, network.biases, data_needs=False).layers
    assert counted.forward == evaluate(flops(layers), sizes)


@some
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 9), st.integers(1, 6))
def test_the_last_layers_alone(depth, last, width, batch):
    last = min(last, depth)
    kinds = ("frozen",) * (depth - last) + ("trained",) * last
    network = Network((width,) * (depth + 1), (batch,), 1, kinds, (True,) * depth, data_needs=False)
    one = 2 * batch * width * width
    counted = count(network)
    assert compare(network.step, counted, sizes=network.sizes).agrees
    assert (counted.forward, counted.backward) == (depth * one, (2 * last - 1) * one)


class Block(nn.Module):
    """Runs attention and a feed-forward part, with adapters on some of the six weights."""

    def __init__(self, D, H, G, E, F, R, adapted):  # noqa: PLR0913, PLR0917  (sizes)
        super().__init__()
        shapes = {"wq": (D, H * E), "wk": (D, G * E), "wv": (D, G * E), "wo": (H * E, D), "w1": (D, F), "w2": (F, D)}
        for name, (rows, columns) in shapes.items():
            plain = nn.Linear(rows, columns, bias=False).requires_grad_(False)
            self.add_module(name, Lora(rows, columns, R, bias=False) if name in adapted else plain)
        self.E, self.shared = E, H // G

    def forward(self, x):
        q, k, v = (one(x).unflatten(-1, (-1, self.E)).transpose(1, 2) for one in (self.wq, self.wk, self.wv))
        k, v = (heads.repeat_interleave(self.shared, 1) for heads in (k, v))
        o = nn.functional.scaled_dot_product_attention(q, k, v)
        y = x + self.wo(o.transpose(1, 2).flatten(2))
        return y + self.w2(nn.functional.gelu(self.w1(y)))


small = st.integers(1, 6)
WEIGHTS = ["wq", "wk", "wv", "wo", "w1", "w2"]


@some
@given(st.fixed_dictionaries(dict.fromkeys("BTDEFGR", small)), small, st.sets(st.sampled_from(WEIGHTS)))
def test_a_block_with_some_of_its_weights_adapted(sizes, shared, adapted):
    sizes |= {"H": shared * sizes["G"], "S": sizes["T"]}
    step = lora(*decoder_block().forward, adapted=adapted, frozen=WEIGHTS)
    with torch.device("meta"), sdpa_kernel(SDPBackend.MATH):
        model = Block(**{letter: sizes[letter] for letter in "DHGEFR"}, adapted=adapted)
        x = torch.ones(sizes["B"], sizes["T"], sizes["D"], requires_grad=True)
        with FlopCount() as counted:
            model(x).sum().backward()
    assert compare(step, counted, sizes=sizes).agrees


def attention_with_prefix(sizes, first):
    """Run attention whose weights are frozen, behind rows that are joined to keys and values."""
    B, T, D, H, E, P = (sizes[letter] for letter in "BTDHEP")
    wq, wk, wv, wo = (torch.empty(D, H * E) for _ in range(4))
    prefix = [torch.empty(P, H, E, requires_grad=True) for _ in range(2)]
    x = torch.empty(B, T, D, requires_grad=not first)
    q, k, v = ((x @ weight).unflatten(-1, (H, E)) for weight in (wq, wk, wv))
    k, v = (torch.cat([rows.expand(B, P, H, E), own], dim=1) for rows, own in zip(prefix, (k, v), strict=True))
    o = nn.functional.scaled_dot_product_attention(*(heads.transpose(1, 2) for heads in (q, k, v)))
    (o.transpose(1, 2).flatten(2) @ wo.T).sum().backward()


@pytest.mark.parametrize("first", [False, True])
@some
@given(sizes=st.fixed_dictionaries(dict.fromkeys("BTPHED", small)))
def test_a_prefix_adds_keys_and_values_that_are_trained(first, sizes):
    """In the first block, behind a frozen embedding, nothing needs the gradient of x."""
    with torch.device("meta"), sdpa_kernel(SDPBackend.MATH), FlopCount() as counted:
        attention_with_prefix(sizes, first)
    step = vectors(
        matmul("x[B,T,D] @ wq[D,H,E] -> q[B,T,H,E]"),
        matmul("x[B,T,D] @ wk[D,H,E] -> k[B,T,H,E]"),
        matmul("x[B,T,D] @ wv[D,H,E] -> v[B,T,H,E]"),
        matmul("q[B,T,H,E] @ ks[B,S,H,E] -> s[B,H,T,S]"),
        matmul("p[B,H,T,S] @ vs[B,S,H,E] -> o[B,T,H,E]"),
        matmul("o[B,T,H,E] @ wo[H,E,D] -> y[B,T,D]"),
        behind=["wk", "wv"],
        data="x" if first else (),
        frozen=["wq", "wo"],
    )
    assert compare(step, counted, sizes=sizes | {"S": sizes["P"] + sizes["T"]}).agrees


def test_a_frozen_embedding_is_data_and_a_trained_one_is_not():
    products = [matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]")]
    sizes = dict(B=6, D=5, H=7, K=3, R=2)
    for frozen in (False, True):
        with torch.device("meta"):
            table = nn.Embedding(11, 5).requires_grad_(not frozen)
            with FlopCount() as counted:
                Lora(7, 3, 2)(Lora(5, 7, 2)(table(torch.zeros(6, dtype=torch.long))).relu()).sum().backward()
        step = lora(*products, adapted=["w1", "w2"], data="x" if frozen else ())
        assert compare(step, counted, sizes=sizes).agrees


def rows(B, D):
    return torch.randn(B, D)


def test_traced_is_the_formula():
    """The model writes the same formula; dropout of 0 and the sum are pointwise."""
    traced = trace(
        lambda D, H, K, R: nn.Sequential(Lora(D, H, R), nn.ReLU(), Lora(H, K, R)),
        rows,
        dict(B=6, D=5, H=7, K=3, R=2),
    )
    products = [matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]")]
    step = lora(*products, adapted=["w1", "w2"], data="x")
    assert (traced.forward - flops(step.forward)).expand() == 0
    assert (traced.backward - flops(step.backward)).expand() == 0


@some
@given(networks(adapters=["lora"]), st.sampled_from(list(BYTES)))
def test_bytes_of_a_stack_with_an_adapter_in_each_layer(network, dtype):
    """A trained detour keeps its layer's input, so that the activations are not fewer."""
    depth, (D, K) = len(network.kinds), (network.widths[0], network.widths[-1])
    network = Network(network.widths, network.batch[:1], network.rank, ("lora",) * depth, (False,) * depth, False)
    result = f"[B0,D{depth}]"
    memory, plain = (
        training_memory(step, also_kept=[f"y{result}", f"target{result}"], formats=Formats(*4 * [BYTES[dtype]]))
        for step in (network.step, training_step(*network.layers, data="h0"))
    )
    model = nn.Sequential(*(module for layer in network.model() for module in (layer, nn.ReLU())))[:-1].to(dtype)
    x, target = torch.randn(*network.batch, D, dtype=dtype), torch.randn(*network.batch, K, dtype=dtype)
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad])

    def step():
        nn.functional.mse_loss(model(x), target).backward()
        optimizer.step()

    held = weigh(step, model, [optimizer])
    predicted = {kind: evaluate(bytes_, network.sizes) for kind, bytes_ in memory._asdict().items()}
    assert predicted == {kind: getattr(held, kind) for kind in predicted}
    assert evaluate(plain.activations, network.sizes) < held.activations


KINDS = {"everything": "trained", "LoRA": "lora", "DoRA": "dora", "IA3": "vector", "the last layer": "frozen"}


@pytest.mark.parametrize("way", KINDS)
@some
@given(network=networks(adapters=["lora"]))
def test_flops_and_bytes_of_each_way_to_fine_tune(way, network):
    """QLoRA has the FLOPs of LoRA; its bytes are those of a packed weight."""
    depth, last = len(network.kinds), way == "the last layer"
    kinds = (KINDS[way],) * (depth - last) + ("trained",) * last
    network = Network(network.widths, network.batch[:1], network.rank, kinds, (False,) * depth, data_needs=not last)
    step, memory = fine_tunings(*network.layers)[way]
    assert compare(step, count(network), sizes=network.sizes).agrees
    model = network.model()
    x = torch.ones(*network.batch, network.widths[0], requires_grad=not last)
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad])

    def run():
        model(x).sum().backward()
        optimizer.step()

    held = weigh(run, model, [optimizer])
    predicted = {kind: evaluate(bytes_, network.sizes) for kind, bytes_ in memory._asdict().items()}
    assert predicted == {kind: getattr(held, kind) for kind in predicted}


def test_qlora_is_lora_whose_frozen_weights_are_packed():
    ways = fine_tunings(matmul("x[B,D] @ w[D,K] -> h[B,K]"), matmul("h[B,K] @ v[K,F] -> y[B,F]"))
    plain, packed = ways["LoRA"], ways["QLoRA"]
    assert packed.step == plain.step
    frozen = D * K + K * F
    saved = plain.memory.parameters - packed.memory.parameters
    assert expand(saved - 4 * frozen + nf4_bytes(frozen)) == 0
    assert packed.memory == plain.memory._replace(parameters=packed.memory.parameters)


@pytest.mark.parametrize(
    ("derive", "says"),
    [
        (lambda y: lora(y, adapted="v"), "adapted names 'v', which is not a weight of a matrix product: give one of w"),
        (lambda y: vectors(y, behind=["x"]), "behind names 'x', which is not a weight"),
        (lambda y: lora(y, adapted="w", rank="K"), "names an axis twice"),
        (lambda y: dora(y, adapted="w", data="z"), "'z' is given as data or frozen, but is not an input"),
    ],
)
def test_what_cannot_be_adapted_is_refused(derive, says):
    with pytest.raises(ValueError, match=says):
        derive(matmul("x[B,D] @ w[D,K] -> y[B,K]"))
