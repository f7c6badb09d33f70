"""Test recurrent layers and scans drawn at random: predicted == counted, and == traced where letters can be."""

from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sympy import Rational
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.flop_counter import FlopCounterMode

from flopbook.measure import FlopCount, profile_flops
from flopbook.predict import G, H, N, T, axis, evaluate, flops, matmul, training_step
from flopbook.predict.models import chunk_sizes, chunked_scan, recurrent_scan, recurrent_stack
from flopbook.specimens.in_torch.recurrent import Scan, scan_chunks, scan_tokens
from flopbook.tracing import trace

GATES = {nn.RNN: 1, nn.GRU: 3, nn.LSTM: 4}
CELLS = {nn.RNN: nn.RNNCell, nn.GRU: nn.GRUCell, nn.LSTM: nn.LSTMCell}
DTYPES = [torch.float32, torch.float64, torch.bfloat16]


@dataclass(frozen=True)
class Layers:
    """Holds kind, lengths of the sequences, widths, and how the layers are used."""

    kind: type[nn.RNNBase]
    lengths: tuple[int, ...]
    width: int
    hidden: int
    layers: int = 1
    projection: int = 0
    bidirectional: bool = False
    bias: bool = True
    batch_first: bool = False
    packed: bool = False
    data_needs: bool = False
    state_given: bool = False
    state_needs: bool = False
    dtype: torch.dtype = torch.float32

    def predict(self, **wrong):
        """Predict the step; the length of packed sequences is their mean."""
        data = ("x",) * (not self.data_needs) + ("h0",) * (not self.state_needs)
        stack = recurrent_stack(projected=self.projection > 0, data=data)
        tokens = Rational(sum(self.lengths), len(self.lengths)) if self.packed else max(self.lengths)
        right = dict(T=tokens, gates=GATES[self.kind], L=self.layers, directions=1 + self.bidirectional)
        return stack.at(**right | wrong)

    @property
    def sizes(self):
        projection = {"J": self.projection} if self.projection else {}
        return dict(B=len(self.lengths), D=self.width, H=self.hidden) | projection

    def build(self, device):
        """Build the step to measure, which knows nothing of the prediction but the sizes."""
        options = {"batch_first": self.batch_first, "bidirectional": self.bidirectional, "bias": self.bias}
        if self.projection:
            options["proj_size"] = self.projection
        made_of = {"device": device, "dtype": self.dtype}
        layers = self.kind(self.width, self.hidden, self.layers, **options, **made_of)
        shape = [max(self.lengths), len(self.lengths)]
        x = torch.ones(*(reversed(shape) if self.batch_first else shape), self.width, **made_of)
        x.requires_grad_(self.data_needs)
        states = self._states(made_of)

        def run():
            read = pack_padded_sequence(x, torch.tensor(self.lengths), self.batch_first) if self.packed else x
            y = layers(read, states)[0]
            (y.data if self.packed else y).square().mean().backward()

        return layers, run

    def _states(self, made_of):
        if not self.state_given:
            return None
        directions = self.layers * (1 + self.bidirectional)
        widths = [self.projection or self.hidden, self.hidden]
        states = [torch.zeros(directions, len(self.lengths), width, **made_of) for width in widths]
        for state in states:
            state.requires_grad_(self.state_needs)
        return tuple(states) if self.kind is nn.LSTM else states[0]


@st.composite
def recurrent_layers(draw):
    kind, size = draw(st.sampled_from(list(GATES))), st.integers(1, 5)
    hidden, flag = draw(size), st.booleans()
    lengths = sorted(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)), reverse=True)
    given_state, bidirectional = draw(flag), draw(flag)
    return Layers(
        kind,
        tuple(lengths),
        width=draw(size),
        hidden=hidden,
        layers=draw(st.integers(1, 3)),
        projection=draw(st.integers(0, hidden - 1)) if kind is nn.LSTM else 0,
        bidirectional=bidirectional,
        bias=draw(flag),
        batch_first=draw(flag),
        packed=draw(flag) and not bidirectional,
        data_needs=draw(flag),
        state_given=given_state,
        state_needs=given_state and draw(flag),
        dtype=draw(st.sampled_from(DTYPES)),
    )


def count(run):
    with FlopCount() as counted:
        run()
    return counted.forward, counted.backward


def predict(layers, **wrong):
    model = layers.predict(**wrong)
    return evaluate(model.forward, layers.sizes), evaluate(model.backward, layers.sizes)


no_projections_on_a_processor = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")


@no_projections_on_a_processor
@given(layers=recurrent_layers(), meta=st.booleans())
@settings(max_examples=12)
def test_predicted_and_counted_agree(device, layers, meta):
    assume(not (meta and layers.packed))  # how long packed sequences are is data
    built, run = layers.build("meta" if meta else device)
    assert count(run) == predict(layers)
    if layers.bias:
        model, weights = layers.predict(), list(built.parameters())
        assert evaluate(model.parameters, layers.sizes) == sum(weight.numel() for weight in weights)
        assert evaluate(model.tensors, layers.sizes) == len(weights)


@no_projections_on_a_processor
@given(layers=recurrent_layers())
@settings(max_examples=10)
def test_a_formula_with_a_gate_too_many_or_every_state_counted_twice_disagrees(layers):
    _, run = layers.build("cpu")
    counted, gates = count(run), GATES[layers.kind]
    assert counted != predict(layers, gates=gates + 1)
    if not layers.state_needs:  # then the first state has a gradient less than the others
        assert counted != predict(replace(layers, state_needs=True))


def test_a_packed_sequence_that_is_read_from_its_end_begins_with_the_longest_alone():
    """The shorter ones come in later, so that at more steps the state's gradient is made."""
    layers = Layers(nn.GRU, (5, 3, 2), 4, 7, bidirectional=True, packed=True)
    _, run = layers.build("cpu")
    late = 2 * (3 - 1) * 3 * 7 * 7  # two first states more
    forward, backward = predict(layers)
    assert count(run) == (forward, backward + late)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("tokens", [1, 4])
def test_cells_step_by_step_take_what_the_layer_takes(kind, tokens):
    layers = Layers(kind, (tokens,) * 3, width=2, hidden=5)
    cell, x = CELLS[kind](2, 5), torch.ones(tokens, 3, 2)

    def run():
        state, results = None, []
        for token in x:
            state = cell(token, state)
            results.append(state[0] if kind is nn.LSTM else state)
        torch.stack(results).square().mean().backward()

    assert count(run) == predict(layers)


def test_an_lstm_of_the_lecture_takes_46080_and_70656():
    layers = Layers(nn.LSTM, (5,) * 3, width=8, hidden=16)
    _, run = layers.build("cpu")
    assert count(run) == predict(layers) == (46_080, 70_656)


@pytest.mark.parametrize("kind", GATES)
def test_pytorchs_own_counters_know_each_layer_but_the_fused_lstm(kind):
    layers = Layers(kind, (5,) * 3, width=8, hidden=16)
    _, run = layers.build("cpu")
    with FlopCounterMode(display=False) as theirs:
        run()
    expected = 0 if kind is nn.LSTM else sum(predict(layers))
    assert (theirs.get_total_flops(), profile_flops(run).total) == (expected, expected)


@pytest.mark.parametrize("kind", GATES)
def test_predicted_and_traced_agree(kind):
    def build(D, H):
        return kind(D, H)

    def inputs(T, B, D):
        return torch.randn(T, B, D)

    traced = trace(build, inputs, sizes=dict(T=5, B=3, D=4, H=6))
    predicted = recurrent_stack().at(gates=GATES[kind], L=1, directions=1)
    assert (traced.forward.expand(), traced.backward.expand()) == (predicted.forward, predicted.backward)


@dataclass(frozen=True)
class Scans:
    """Holds the sizes of a scan, and what it is asked for."""

    B: int
    T: int
    G: int
    share: int
    N: int
    P: int
    chunk: int
    first_needs: bool
    last_used: bool
    dtype: torch.dtype = torch.float64

    @property
    def sizes(self):
        return dict(B=self.B, T=self.T, G=self.G, H=self.G * self.share, N=self.N, P=self.P)

    @property
    def steps(self):
        """Predict forward and backward pass in chunks."""
        data = ("h0",) * (not self.first_needs) + ("k_last", "v_last") * (not self.last_used)
        step, chunks = chunked_scan(data), chunk_sizes(self.T, self.chunk)
        return tuple(evaluate(flops(side).subs(chunks), self.sizes) for side in (step.forward, step.backward))

    def given(self, device):
        """Make queries, keys, values, decays and a first state."""
        H, made_of = self.G * self.share, {"device": device, "dtype": self.dtype}
        q, k = (torch.rand(self.B, self.G, self.T, self.N, **made_of) for _ in range(2))
        v, state = torch.rand(self.B, H, self.T, self.P, **made_of), torch.rand(self.B, H, self.N, self.P, **made_of)
        decay = torch.rand(self.B, H, self.T, **made_of) / 2 + 0.5
        for tensor in (q, k, v, decay):
            tensor.requires_grad_()
        return q, k, v, decay, state.requires_grad_(self.first_needs)


def loss(results, last_used):
    y, last = results
    return y.square().mean() + (last.square().mean() if last_used else 0)


@st.composite
def scans(draw):
    size, flag = st.integers(1, 4), st.booleans()
    sizes = [draw(size), draw(st.integers(1, 9)), draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(size)]
    dtype = draw(st.sampled_from(DTYPES))
    return Scans(*sizes, P=draw(size), chunk=draw(st.integers(1, 11)), first_needs=draw(flag), last_used=draw(flag),
                 dtype=dtype)  # fmt: skip


@given(scan=scans(), meta=st.booleans())
@settings(max_examples=12)
def test_a_scan_in_chunks_takes_what_the_formula_says_also_where_the_last_chunk_is_short(device, scan, meta):
    given = scan.given("meta" if meta else device)
    assert count(lambda: loss(scan_chunks(*given, chunk=scan.chunk), scan.last_used).backward()) == scan.steps


@given(scan=scans(), meta=st.booleans())
@settings(max_examples=10)
def test_a_scan_token_by_token_reads_by_products_and_changes_its_state_pointwise(device, scan, meta):
    given = scan.given("meta" if meta else device)
    step = recurrent_scan()
    with FlopCount() as counted:
        y, _ = scan_tokens(*given)
    assert counted.forward == evaluate(flops(step.forward), scan.sizes)
    states = scan.B * scan.T * scan.G * scan.share * scan.N * scan.P
    assert counted.pointwise["forward"] == 3 * states
    with FlopCount() as counted:
        y.square().mean().backward()
    assert counted.backward == evaluate(flops(step.backward), scan.sizes)


@given(scan=scans())
@settings(max_examples=12)
def test_both_forms_of_a_scan_give_the_same(scan):
    q, k, v, decay, state = (tensor.detach().double() for tensor in scan.given("cpu"))
    by_tokens = scan_tokens(q, k, v, decay, state)
    in_chunks = scan_chunks(q, k, v, decay, state, chunk=scan.chunk)
    for one, other in zip(by_tokens, in_chunks, strict=True):
        torch.testing.assert_close(one, other)


@given(scan=scans())
@settings(max_examples=12)
def test_a_formula_that_takes_the_last_chunk_for_a_whole_one_disagrees(scan):
    assume(scan.T % scan.chunk)
    given = scan.given("meta")
    padded = chunk_sizes(scan.T + -scan.T % scan.chunk, scan.chunk)
    assert count(lambda: scan_chunks(*given, chunk=scan.chunk))[0] < evaluate(
        flops(chunked_scan().forward).subs(padded), scan.sizes | {"T": scan.T + -scan.T % scan.chunk}
    )


def test_a_scan_in_chunks_is_traced_as_predicted():
    """4 tokens in chunks of 3, and two heads of one group; the projection before it is a product of its own."""

    def build(N, P):
        return Scan(10, 1, 2, N, P, partial(scan_chunks, chunk=3))

    traced = trace(build, lambda B: torch.randn(B, 4, 10), sizes=dict(B=2, N=5, P=7))
    project, scan = matmul("x[B,T,D] @ w[D,W] -> z[B,T,W]"), chunked_scan()
    step = training_step(project, *scan.forward, data=("x", *scan.data))
    here = {axis("D"): 10, G: 1, H: 2, axis("W"): 2 * (N + axis("P") + 1)}
    for side, seen in ((step.forward, traced.forward), (step.backward, traced.backward)):
        assert flops(side).subs(chunk_sizes(4, 3)).subs(here).subs(T, 4).expand() == seen.expand()


def test_a_padded_scan_takes_what_the_padded_length_does():
    q, k, v, decay, state = Scans(2, 7, 2, 3, 4, 5, 3, first_needs=False, last_used=False).given("cpu")
    padded = [nn.functional.pad(given, (0, 0, 0, 2)) for given in (q, k, v)]
    decay = nn.functional.pad(decay, (0, 2), value=1.0)  # what is padded forgets nothing
    whole = Scans(2, 9, 2, 3, 4, 5, 3, first_needs=False, last_used=False)
    step = flops(chunked_scan().forward).subs(chunk_sizes(9, 3))
    with FlopCount() as counted:
        y, last = scan_chunks(*padded, decay, state, chunk=3)
    assert counted.forward == evaluate(step, whole.sizes)
    expected, of_all = scan_tokens(q, k, v, decay[..., :7], state)
    torch.testing.assert_close((y[:, :, :7], last), (expected, of_all))
