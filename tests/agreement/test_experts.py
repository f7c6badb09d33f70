"""Test experts drawn at random: predicted == counted, in a loop, in a grouped product and in padded slots."""

from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from flopbook.comparison import compare
from flopbook.measure import FlopCount, profile_flops
from flopbook.measure.memory import weigh
from flopbook.predict import B, K, T, axis, evaluate, flops, training_step
from flopbook.predict.models import (
    X,
    attention_part,
    embedding,
    experts_layer,
    experts_part,
    fill,
    output_layer,
    slots,
)
from flopbook.specimens.in_torch.experts import Experts, Grouped, InSlots
from flopbook.specimens.in_torch.layers import Attention, Residual
from flopbook.tracing import trace


class Looped(Experts):
    """Runs one expert after the other, each on the tokens that chose it."""

    def routed(self, tokens, p, chosen):
        y = torch.zeros_like(tokens)
        for number in range(len(self.up)):
            token, place = (chosen == number).nonzero(as_tuple=True)
            z = self.feed_forward(tokens[token], lambda rows, weights, number=number: rows @ weights[number])
            y = y.index_add(0, token, p[token, place, None] * z)
        return y


@dataclass(frozen=True)
class Layer:
    """Holds sizes, what the layer has, what is trained, and how the layer runs."""

    sizes: dict[str, int]
    way: type[Experts]
    dtype: torch.dtype
    gated: bool = False
    shared: int = 0
    capacity: Fraction = Fraction(1)
    data_needs: bool = False
    router_frozen: bool = False
    leaning: float = 0.0

    @property
    def letters(self):
        """Return the size of every letter of the prediction."""
        sizes = self.sizes | ({"J": self.shared * self.sizes["F"]} if self.shared else {})
        needed = sizes["B"] * sizes["T"] * sizes["K"]
        return sizes | {"M": evaluate(X * slots(self.capacity), sizes) if self.way is InSlots else needed}

    @property
    def step(self):
        """Predict the step."""
        products = experts_layer(self.gated, self.shared > 0).forward
        return training_step(
            *products, data=() if self.data_needs else ("n", "m"), frozen="wr" if self.router_frozen else ()
        )

    def build(self, device):
        """Build the step to measure, which knows nothing of the prediction but the sizes."""
        B, T, D, F, X, K = (self.sizes[letter] for letter in "BTDFXK")
        room = {"capacity": self.capacity} if self.way is InSlots else {}
        model = self.way(D, F, X, K, **room, gated=self.gated, J=self.shared * F).to(device, self.dtype)
        model.router.requires_grad_(not self.router_frozen)
        x = torch.randn(B, T, D, dtype=self.dtype, device=device) + self.leaning
        x.requires_grad_(self.data_needs)

        def run():
            model(x).float().square().mean().backward()

        return run


def count(layer, device):
    torch.manual_seed(0)
    with FlopCount() as counted:
        layer.build(device)()
    assert counted.uncounted == {}
    return counted


@st.composite
def layers(draw, ways=(Looped, Grouped, InSlots), some_left=False):
    way = draw(st.sampled_from(ways))
    dtype = draw(st.sampled_from([torch.float32, torch.bfloat16]))
    experts = draw(st.integers(1 + some_left, 7))
    sizes = {letter: draw(st.integers(1, 5)) for letter in "BTDF"}
    if way is Grouped:  # its rows have 16 bytes, or a multiple of that
        sizes |= {letter: 16 // dtype.itemsize * draw(st.integers(1, 3)) for letter in "DF"}
    return Layer(
        sizes | {"X": experts, "K": draw(st.integers(1, experts - some_left))},
        way,
        dtype,
        gated=draw(st.booleans()),
        shared=draw(st.integers(0, 2)),
        capacity=draw(st.fractions(Fraction(1, 4), 3, max_denominator=4)),
        data_needs=draw(st.booleans()),
        router_frozen=draw(st.booleans()),
        leaning=draw(st.sampled_from([0.0, 3.0])),
    )


SIZES = dict(B=2, T=7, D=8, F=16, X=4, K=2)
TOP_1_OF_1 = Layer(dict(B=1, T=1, D=8, F=8, X=1, K=1), Grouped, torch.float32, data_needs=True)
ALL_OF_ALL = Layer(SIZES | dict(X=5, K=5), InSlots, torch.float32, shared=2, gated=True, router_frozen=True)


@settings(max_examples=12)
@given(layer=layers())
@example(layer=TOP_1_OF_1)
@example(layer=ALL_OF_ALL)
def test_predicted_and_counted_agree(device, layer):
    table = compare(layer.step, count(layer, device), sizes=layer.letters)
    assert table.agrees, table


@settings(max_examples=12)
@given(layer=layers(), number=st.integers(0, 20))
def test_a_step_with_a_product_forgotten_disagrees(device, without, layer, number):
    assert not compare(without(layer.step, number), count(layer, device), sizes=layer.letters).agrees


@settings(max_examples=12)
@given(layer=layers(ways=(Looped, Grouped), some_left=True))
def test_a_count_of_all_experts_disagrees_with_those_that_ran(device, layer):
    everyone = layer.letters | {"M": layer.sizes["B"] * layer.sizes["T"] * layer.sizes["X"]}
    assert not compare(layer.step, count(layer, device), sizes=everyone).agrees


@settings(max_examples=12)
@given(layer=layers(ways=(InSlots,)))
def test_slots_run_whether_filled_or_not(device, layer):
    needed = layer.sizes["B"] * layer.sizes["T"] * layer.sizes["K"]
    assume(layer.letters["M"] != needed)
    assert not compare(layer.step, count(layer, device), sizes=layer.letters | {"M": needed}).agrees


@pytest.mark.parametrize("leaning", [0.0, 9.0])
@pytest.mark.parametrize("way", [Looped, Grouped])
def test_no_imbalance_changes_what_runs(device, way, leaning):
    layer = Layer(SIZES, way, torch.float32, leaning=leaning)
    assert count(layer, device).total == evaluate(layer.step.flops, layer.letters)


@pytest.mark.parametrize("way", [Looped, Grouped, InSlots])
def test_all_ways_answer_the_same(way):
    """Of slots there are enough for all rows at one expert."""
    torch.manual_seed(1)
    room = {"capacity": Fraction(SIZES["X"])} if way is InSlots else {}
    loop, other = Looped(8, 16, 4, 2, gated=True, J=3), way(8, 16, 4, 2, gated=True, J=3, **room)
    other.load_state_dict(loop.state_dict())
    x = torch.randn(2, 7, 8)
    torch.testing.assert_close(other(x), loop(x), rtol=1e-4, atol=1e-4)


def test_a_row_without_a_slot_skips_the_experts():
    torch.manual_seed(1)
    model = InSlots(8, 16, 4, 2, capacity=Fraction(1, 2))
    x = torch.randn(14, 8)
    _, chosen = model.router(x).topk(2)
    loads = torch.bincount(chosen.flatten(), minlength=4).tolist()
    room = evaluate(slots(Fraction(1, 2)), dict(B=1, T=14, K=2, X=4))
    kept = fill(loads, room).kept
    seen = []
    model.feed_forward = lambda rows, product: seen.append(rows) or Experts.feed_forward(model, rows, product)
    model(x)
    assert (seen[0].abs().sum(-1) > 0).sum() == kept < sum(loads)
    assert seen[0].shape == (4, room, 8)


@settings(max_examples=12)
@given(layer=layers(ways=(Grouped, InSlots)))
def test_where_nobody_knows_who_chose_whom_the_count_is_the_same(layer):
    """How many rows there are follows from the shapes; on meta, PyTorch takes a grouped product in bfloat16 only."""
    sizes = layer.sizes | ({"D": 8, "F": 24} if layer.way is Grouped else {})
    layer = replace(layer, sizes=sizes, dtype=torch.bfloat16)
    assert compare(layer.step, count(layer, "meta"), sizes=layer.letters).agrees


def test_a_loop_over_experts_does_not_count_without_data():
    with pytest.raises(NotImplementedError, match="meta"):
        count(Layer(SIZES, Looped, torch.float32), "meta")


def test_the_profiler_agrees_on_grouped_products(device):
    layer = Layer(SIZES, Grouped, torch.float32, gated=True, shared=1)
    assert compare(layer.step, count(layer, device), profile_flops(layer.build(device)), sizes=layer.letters).agrees


def test_the_formula_is_traced():
    traced = trace(
        lambda D, F, X, K: Grouped(D, F, X, K).to(torch.bfloat16),
        lambda B, T, D: torch.ones(B, T, D, dtype=torch.bfloat16),
        SIZES,
    )
    step = training_step(*experts_layer().forward, data=("n", "m"))
    for phase in ("forward", "backward"):
        predicted = flops(getattr(step, phase)).subs(axis("M"), B * T * K)
        assert (getattr(traced, phase) - predicted).expand() == 0


@pytest.mark.parametrize("J", [0, 12])
@pytest.mark.parametrize("gated", [False, True])
def test_what_is_kept(gated, J):
    """Besides: the loss keeps its input, index_add a copy of what it adds; and the integers that say who chose whom."""
    model = torch.nn.Sequential(torch.nn.LayerNorm(8, bias=False), Grouped(8, 16, 4, 2, gated=gated, J=J))
    x = torch.randn(2, 7, 8, requires_grad=True)
    held = weigh(lambda: model(x).square().mean().backward(), model, []).activations
    part, sizes, rows = experts_part().at(matrices=3 if gated else 2, J=J), dict(B=2, T=7, D=8, F=16, X=4, K=2), 28
    besides, integers = 4 * (x.numel() + rows * 8), 4 * 8 * rows + 4 * 4
    assert held == 4 * evaluate(part.activations, sizes) + besides + integers


@settings(max_examples=12)
@given(layer=layers())
def test_parameters_are_those_of_the_module(layer):
    sizes = layer.letters
    part = experts_part().at(matrices=3 if layer.gated else 2, J=sizes.get("J", 0))
    room = {"capacity": layer.capacity} if layer.way is InSlots else {}
    D, F, experts, K = (sizes[letter] for letter in "DFXK")
    model = layer.way(D, F, experts, K, **room, gated=layer.gated, J=sizes.get("J", 0))
    norm = [torch.nn.Parameter(torch.ones(D))]
    parameters = [*norm, *model.parameters()]
    unused = sum(weight[0].numel() for weight in (model.up, model.down, model.gate) if weight is not None) * (
        experts - K
    )
    assert evaluate(part.parameters, sizes) == sum(parameter.numel() for parameter in parameters)
    assert evaluate(part.active, sizes) == sum(parameter.numel() for parameter in parameters) - unused


@settings(max_examples=6)
@given(
    sizes=st.fixed_dictionaries({letter: st.integers(1, 4) for letter in "BTGELV"}),
    choice=st.tuples(st.integers(1, 5), st.integers(0, 4)),
    gated=st.booleans(),
    J=st.sampled_from([0, 8]),
)
def test_a_decoder_of_experts_is_the_sum_of_its_parts(sizes, choice, gated, J):
    K, waiting = choice
    sizes |= {"D": 8, "F": 16, "K": K, "X": K + waiting, "H": 2 * sizes["G"]}
    predicted = sizes["L"] * (attention_part() + experts_part()) + output_layer() + embedding()
    predicted = predicted.at(S=T, J=J, matrices=3 if gated else 2)

    def norm():
        return torch.nn.LayerNorm(8, bias=False)

    with torch.device("meta"):
        blocks = [
            part
            for _ in range(sizes["L"])
            for part in (
                Residual(norm(), Attention(sizes["T"], 8, sizes["G"], 2, sizes["E"], bias=False)),
                Residual(norm(), Grouped(8, 16, sizes["X"], K, gated=gated, J=J)),
            )
        ]
        table = torch.nn.Embedding(sizes["V"], 8)
        model = torch.nn.Sequential(table, *blocks, norm()).to(torch.bfloat16)
        with FlopCount() as counted:
            y = model(torch.zeros(sizes["B"], sizes["T"], dtype=torch.long))
            (y @ table.weight.T).sum().backward()
    assert evaluate(predicted.parameters, sizes) == sum(parameter.numel() for parameter in model.parameters())
    assert (evaluate(predicted.forward, sizes), evaluate(predicted.backward, sizes)) == (
        counted.forward,
        counted.backward,
    )
