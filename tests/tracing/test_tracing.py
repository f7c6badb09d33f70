"""A model's formula, read off the model."""

import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pytest
import sympy
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import functional as F_
from torch.nn.modules import module as nn_module
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from flopbook.comparison import compare
from flopbook.measure import FlopCount
from flopbook.predict import B, D, F, L, axis, evaluate, matmul, training_step
from flopbook.teaching import boxed
from flopbook.tracing import FormulaError, trace

SIZES = dict(B=8, D=16, F=64)


def mlp(D, F):
    return nn.Sequential(nn.Linear(D, F), nn.GELU(), nn.Linear(F, D))


def rows(B, D):
    return torch.empty(B, D)


class Apply(nn.Module):
    """A linear layer, and a function that uses it."""

    def __init__(self, function, D):
        super().__init__()
        self.function, self.layer = function, nn.Linear(D, D)

    def forward(self, x):
        return self.function(self.layer, x)

    def append(self, *others):
        self.others = nn.ModuleList(others)
        return self


def traced_with(function, **sizes):
    return trace(lambda D: Apply(function, D), rows, dict(B=8, D=16) | sizes)


@pytest.fixture(scope="module")
def traced_mlp():
    return trace(mlp, rows, SIZES)


def test_mlp(traced_mlp):
    traced = traced_mlp
    assert (traced.forward, traced.backward, traced.recomputed) == (4 * B * D * F, 6 * B * D * F, 0)
    assert traced.total == 10 * B * D * F
    assert traced.by_module["0"] == (2 * B * D * F, 2 * B * D * F, 0)
    assert traced.by_operator == {"aten::addmm": 4 * B * D * F, "aten::mm": 6 * B * D * F}
    assert (traced.sizes, traced.conditions, traced.uncounted) == (SIZES, (), {})


def test_the_tables_of_a_trace(traced_mlp):
    assert list(traced_mlp.by_module) == ["", "0", "2"]
    assert repr(traced_mlp).splitlines()[0].split() == ["module", "forward", "backward"]
    html = traced_mlp._repr_html_()
    assert html.count("<math>") == 6 and "<mi>F</mi>" in html


def test_equal_example_sizes_are_no_coincidence_to_build_on():
    traced = trace(mlp, rows, dict(B=8, D=8, F=8))
    assert (traced.forward, traced.backward) == (4 * B * D * F, 6 * B * D * F)


def test_examples_of_one():
    assert trace(mlp, rows, dict(B=1, D=1, F=1)).total == 10 * B * D * F


def test_a_number_of_layers_is_a_letter():
    def build(D, L):
        return nn.Sequential(*(nn.Linear(D, D) for _ in range(L)))

    traced = trace(build, rows, dict(B=8, D=16, L=12))
    assert traced.forward == 2 * B * D**2 * L
    assert sympy.expand(traced.backward - 2 * B * D**2 * (2 * L - 1)) == 0
    assert "L was sampled, at 2, 3 and others, since test_tracing.py" in traced.way


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.GRU, 3)])
def test_only_the_steps_of_a_recurrent_layer_are_sampled(kind, gates):
    H, T = sympy.symbols("H T", positive=True, integer=True)

    def steps(B, T, D):
        return torch.empty(T, B, D)

    def build(D, H):
        return kind(D, H)

    traced = trace(build, steps, dict(B=3, T=5, D=4, H=6))
    assert sympy.expand(traced.forward - 2 * gates * B * T * (D * H + H**2)) == 0
    assert "B, D, H stayed letters." in traced.way and "T was sampled" in traced.way


def test_a_layer_may_read_its_rate_of_dropout_from_a_series():
    def build(D, L):
        rates = [rate.item() for rate in torch.linspace(0, 0.1, L)]
        return nn.Sequential(*(nn.Sequential(nn.Linear(D, D), nn.Dropout(rate)) for rate in rates))

    assert trace(build, rows, dict(B=2, D=3, L=4)).forward == 2 * B * D**2 * L


def test_a_series_is_looked_up_by_numbers_that_nobody_knows():
    """The indices stand in a list, among the arguments of the lookup."""

    def looked_up(layer, x):
        return layer(x) * torch.linspace(0, 1, 16)[x.bool().int()]

    assert traced_with(looked_up).forward == 2 * B * D**2


def test_what_a_model_is_called_with():
    def build(D):
        return nn.Bilinear(D, D, D)

    def pair(B, D):
        return torch.empty(B, D), torch.empty(B, D)

    def named(B, D):
        return {"input1": torch.empty(B, D), "input2": torch.empty(B, D)}

    sizes = dict(B=3, D=5)
    assert trace(build, pair, sizes).forward == trace(build, named, sizes).forward == 2 * B * D**3


def test_the_backward_pass_is_that_of_all_results():
    @dataclass
    class Answer:
        first: torch.Tensor
        others: dict

    whole = traced_with(lambda layer, x: Answer(layer(x), {"second": (layer(x), x.long())}))
    assert (whole.forward, whole.backward) == (4 * B * D**2, 4 * B * D**2)


def test_inputs_that_need_a_gradient():
    assert trace(mlp, lambda B, D: torch.empty(B, D, requires_grad=True), SIZES).backward == 8 * B * D * F


def test_without_anything_to_train_there_is_no_backward_pass():
    assert trace(lambda D, F: mlp(D, F).requires_grad_(False), rows, SIZES).backward == 0


def test_a_size_as_a_float_stays_a_letter():
    traced = traced_with(lambda layer, x: layer(x) / math.sqrt(x.shape[1]))
    assert (traced.forward, traced.way) == (2 * B * D**2, "B, D stayed letters.")


def padded(layer, x):
    return layer(F_.pad(x, (0, 0, 3, 0)))


def padded_by_a_size(layer, x):
    return layer(F_.pad(x, (0, 0, x.shape[0] // 2, 0)))


def turned(layer, x):
    return layer(torch.polar(torch.ones_like(x), x).real)


def stretched(layer, x):
    return layer(F_.interpolate(x.mT[None], scale_factor=2, mode="linear")[0].mT)


def halved(layer, x):
    return layer(x[: math.ceil(x.shape[0] / 2)])


@pytest.mark.parametrize(
    ("function", "rows"),
    [
        (padded, B + 3),
        (padded_by_a_size, B + sympy.floor(B / 2)),
        (turned, B),
        (stretched, 2 * B),
        (halved, sympy.ceiling(B / 2)),
    ],
)
def test_operators_whose_kernels_want_plain_numbers_leave_the_letters(function, rows):
    traced = traced_with(function)
    assert sympy.expand(traced.forward - 2 * rows * D**2) == 0
    assert traced.way == "B, D stayed letters."


def test_a_formula_can_be_confirmed_by_a_trace(traced_mlp):
    at = evaluate(traced_mlp.total, SIZES)
    assert boxed("mlp", "An MLP", 10 * B * D * F, when="always", sizes=SIZES, traced=at).witnesses == ("traced",)


def test_a_trace_beside_the_other_witnesses():
    step = training_step(matmul("x[B,D] @ w[D,F] -> y[B,F]"), data="x")
    traced = trace(lambda D, F: nn.Linear(D, F, bias=False), rows, SIZES)
    with FlopCount() as counted:
        nn.Linear(16, 64, bias=False)(torch.ones(8, 16)).sum().backward()
    comparison = compare(step, counted, traced.at(SIZES), sizes=SIZES)
    assert comparison.witnesses == ("predicted", "counted", "traced")
    assert comparison.agrees


def test_a_wrong_formula_is_not_confirmed(traced_mlp):
    at = evaluate(traced_mlp.total, SIZES)
    with pytest.raises(ValueError, match="but traced says"):
        boxed("mlp", "An MLP", 8 * B * D * F, when="always", sizes=SIZES, traced=at)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (dict(B=8, D=16), "an example size is missing for F: write sizes=dict(D=..., F=..., B=...)"),
        (SIZES | dict(Q=3), "neither build nor inputs takes Q: write sizes=dict(D=..., F=..., B=...)"),
        (SIZES | dict(F=0), "F=0 is not a size: write a whole number of at least 1"),
    ],
)
def test_sizes_that_do_not_fit(sizes, message):
    with pytest.raises(ValueError) as error:
        trace(mlp, rows, sizes)
    assert str(error.value) == message


NO_INPUTS = "let it return a tensor, a tuple of arguments, or a dictionary of named ones"


@pytest.mark.parametrize(
    ("build", "inputs", "message"),
    [
        (nn.Linear(16, 64), rows, "build is not a function but a Linear: write build=lambda D, F: nn.Linear(D, F)"),
        (mlp, torch.ones(2), "inputs is not a function but a Tensor: write inputs=lambda B, D: torch.empty(B, D)"),
        (lambda D, F: None, rows, "build returns None: let it return a model"),
        (mlp, lambda B, D: None, f"inputs returns None: {NO_INPUTS}"),
        (mlp, lambda B, D: np.ones(3), f"inputs returns a ndarray: {NO_INPUTS}"),
    ],
    ids=["a model", "a tensor", "nothing built", "nothing put in", "an array"],
)
def test_what_is_no_model_or_no_input(build, inputs, message):
    with pytest.raises(TypeError) as error:
        trace(build, inputs, SIZES)
    assert str(error.value).startswith(message)


def test_a_default_is_kept_where_no_size_is_given():
    def build(D, F, bias=False, depth=2):
        return nn.Sequential(*(mlp(D, F) for _ in range(depth)), nn.Linear(D, D, bias))

    assert sympy.expand(trace(build, rows, SIZES).forward) == 8 * B * D * F + 2 * B * D**2
    assert sympy.expand(trace(build, rows, SIZES | dict(depth=5)).forward).coeff(B * D * F) == 4 * axis("depth")


@pytest.mark.parametrize("dtype", [torch.long, torch.float64])
def test_factors_of_unlike_types_are_refused_as_pytorch_refuses_them(dtype):
    with pytest.raises(RuntimeError) as refused:
        mlp(16, 64)(torch.zeros(8, 16, dtype=dtype))
    with pytest.raises(RuntimeError) as error:
        trace(mlp, lambda B, D: torch.zeros(B, D, dtype=dtype), SIZES)
    assert str(error.value) == str(refused.value)


def test_a_letter_that_only_the_input_has():
    def first(layer, x):
        return layer(x[:1])

    assert traced_with(first).forward == 2 * D**2


@pytest.mark.parametrize("shape", [(7, 16), (7, -1)])
def test_a_number_in_place_of_a_letter(shape):
    def view(layer, x):
        return layer(x.view(*shape))

    with pytest.raises(FormulaError) as error:
        traced_with(view, B=7)
    line = view.__code__.co_firstlineno + 1
    assert str(error.value) == (
        f"test_tracing.py:{line}: return layer(x.view(*shape)) runs with no other B than 7: write 7, and leave B out"
    )


def test_a_letter_that_never_occurs():
    with pytest.raises(ValueError) as error:
        trace(lambda D, F, Q: mlp(D, F), rows, SIZES | dict(Q=3))
    assert str(error.value) == "nothing in the model depends on Q: leave it out of build, inputs and sizes"


def test_a_letter_without_flops_of_its_own_may_occur():
    traced = trace(lambda V, D: nn.Sequential(nn.Embedding(V, D), nn.Linear(D, D)), tokens, dict(V=50, D=6, B=4))
    assert traced.forward == 2 * B * D**2


def tokens(B):
    return torch.zeros(B, dtype=torch.long)


def test_parameters_that_are_no_letters():
    with pytest.raises(TypeError, match=r"\*\*sizes of .* is not one letter: write a parameter for each letter"):
        trace(lambda **sizes: nn.Linear(sizes["D"], 3), rows, SIZES)


def positive_rows(layer, x):
    return layer(x[x[:, 0] > 0])


def one_number(layer, x):
    return layer(x) if x.sum().item() > 0 else x


def a_truth(layer, x):
    return layer(x) if x.sum() > 0 else x


def places_of(layer, x):
    return layer(x[x[:, 0].nonzero()[:, 0]])


def an_array(layer, x):
    return layer(x[: x.detach().numpy().argmax()])


def a_text(layer, x):
    return layer(x[: len(f"{x.sum():.0f}")])


def routed(layer, x):
    return layer(x[torch.where(x.argmax(1) == 1)[0]])


def lengths(layer, x):
    return layer(x.split(torch.bincount(x.argmax(1)).tolist())[0])


@pytest.mark.parametrize("function", [positive_rows, one_number, a_truth, places_of, an_array, a_text, routed, lengths])
def test_flops_that_depend_on_the_data(function):
    with pytest.raises(FormulaError) as error:
        traced_with(function)
    line = function.__code__.co_firstlineno + 1
    assert str(error.value).startswith(f"test_tracing.py:{line}: return layer(x")
    assert "depends on the data, so its FLOPs are not a formula of the sizes. Count one batch with" in str(error.value)


def large_batch(layer, x):
    return layer(layer(x)) if x.shape[0] > 10 else layer(x)


def batch_of_eight(layer, x):
    return layer(layer(x)) if x.shape[0] == 8 else layer(x)


@pytest.mark.parametrize(("function", "question"), [(large_batch, "B > 10"), (batch_of_eight, "B is 8")])
@pytest.mark.parametrize("size", [8, 13])
def test_a_size_that_the_model_goes_by(function, question, size):
    with pytest.raises(FormulaError) as error:
        traced_with(function, B=size)
    line = function.__code__.co_firstlineno + 1
    assert str(error.value).startswith(f"test_tracing.py:{line}: return layer(layer(x)) if x.shape[0]")
    assert str(error.value).endswith(f" asks whether {question}, and the FLOPs depend on the answer")


def at_powers_of_two(layer, x):
    for number in range(x.shape[0]):
        x = x if number & (number - 1) else layer(x)
    return x


def test_a_number_without_polynomial():
    with pytest.raises(FormulaError) as error:
        traced_with(at_powers_of_two, B=7)
    line = at_powers_of_two.__code__.co_firstlineno + 1
    expected = f"no polynomial in B gives the FLOPs: test_tracing.py:{line}: for number in range(x.shape[0]): takes B"
    assert str(error.value).startswith(expected)
    assert "at 2, " in str(error.value)


def test_what_the_model_itself_refuses_stays_its_own_error():
    with pytest.raises(RuntimeError, match="a dimension of length 5"):
        traced_with(lambda layer, x: layer(x) + torch.ones(3, 5))


def test_what_a_model_refuses_elsewhere_is_a_condition():
    def short(layer, x):
        assert x.shape[0] <= 100
        return layer(x)

    assert traced_with(short).conditions == (B <= 100,)


def test_a_letter_that_divides_another_one():
    H = sympy.Symbol("H", positive=True, integer=True)
    traced = trace(nn_attention, three, dict(B=2, D=12, H=3))
    assert traced.conditions == (sympy.Eq(sympy.Mod(D, H), 0),)
    assert "Holds where H divides D." in repr(traced)


def nn_attention(D, H):
    return nn.MultiheadAttention(D, H)


def three(B, D):
    return tuple(torch.empty(7, B, D) for _ in range(3))


def test_einsum_is_no_contraction_over_an_axis_of_one():
    def build(D, F):
        return Apply(lambda layer, x: torch.einsum("bd,df->bf", x, layer.weight[:, :1].expand(-1, F)), D)

    assert trace(build, rows, SIZES).conditions == (D > 1,)


def test_no_rule_is_told():
    @torch.library.custom_op("flopbook_test::unruled", mutates_args=())
    def unruled(x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    unruled.register_fake(torch.empty_like)
    with pytest.warns(UserWarning, match="no rule for flopbook_test::unruled"):
        traced = traced_with(lambda layer, x: unruled(x) + layer(x))
    assert traced.uncounted == {"flopbook_test::unruled": 1}


@pytest.mark.parametrize(
    ("convert", "dtype"),
    [
        (nn.Module.bfloat16, torch.bfloat16),
        (nn.Module.half, torch.float16),
        (nn.Module.double, torch.float64),
        (lambda model: model.to(torch.float64), torch.float64),
        (lambda model: model.to("cpu", torch.bfloat16), torch.bfloat16),
        (lambda model: model.to_empty(device="cpu"), torch.float32),
    ],
)
def test_converted_models(convert, dtype):
    def build(D):
        return convert(nn.Sequential(nn.Linear(D, D), nn.BatchNorm1d(D), nn.Linear(D, D)))

    traced = trace(build, lambda B, D: torch.empty(B, D, dtype=dtype), dict(B=2, D=3))
    assert (traced.forward, traced.backward, traced.way) == (4 * B * D**2, 6 * B * D**2, "B, D stayed letters.")


def test_a_converted_layer_of_plain_sizes():
    traced = trace(lambda: nn.Linear(8, 8).bfloat16(), lambda B: torch.empty(B, 8, dtype=torch.bfloat16), dict(B=4))
    assert traced.forward == 128 * B


def test_an_adapter_around_a_converted_layer():
    def build(D, R):
        base = nn.Linear(D, D).bfloat16().requires_grad_(False)
        down, up = nn.Linear(D, R, bias=False), nn.Linear(R, D, bias=False)
        return Apply(lambda layer, x: base(x) + up(down(x)), D).append(down.bfloat16(), up.bfloat16())

    R = axis("R")
    traced = trace(build, lambda B, D: torch.empty(B, D, dtype=torch.bfloat16), dict(B=2, D=8, R=2))
    assert sympy.expand(traced.forward - 2 * B * D**2 - 4 * B * D * R) == 0
    assert sympy.expand(traced.backward - 6 * B * D * R) == 0


def test_weights_whose_values_an_initialiser_reads():
    def build(D):
        layer = nn.Linear(D, D)
        nn.init.trunc_normal_(layer.weight, std=0.02)
        return layer

    assert trace(build, rows, dict(B=2, D=3)).way == "B, D stayed letters."


def surroundings():
    return {
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "random": torch.get_rng_state().tolist(),
        "gradients": torch.is_grad_enabled(),
        "modes": _get_current_dispatch_mode_stack(),
        "hooks": [list(nn_module._global_forward_pre_hooks), list(nn_module._global_forward_hooks)],
        "classes": [dict(vars(kind)) for kind in (nn.Module, torch.SymInt, torch.Tensor, FakeTensor, nn.LayerNorm)],
        "functions": [dict(vars(module)) for module in (nn.init, F_, nn.modules.normalization, nn.modules.rnn)],
    }


def careless(D):
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    return nn.Sequential(nn.LayerNorm(D), nn.Linear(D, D), nn.Dropout())


@pytest.mark.parametrize("inputs", [rows, lambda B, D: torch.empty(B, D + 1)], ids=["right", "wrong"])
def test_a_trace_leaves_everything_as_it_was(inputs):
    trace(mlp, rows, SIZES)  # the first one makes PyTorch fill some caches
    before = surroundings()
    with suppress(RuntimeError):
        trace(careless, inputs, dict(B=3, D=4))
    assert surroundings() == before


def test_a_model_that_was_built_before_stays_as_it_was():
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert trace(lambda: model, lambda B: torch.empty(B, 6), dict(B=7)).total == 120 * B
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model(torch.ones(2, 6)).shape == (2, 5)


def test_the_default_device_makes_no_difference():
    with torch.device("meta"):
        assert trace(mlp, rows, SIZES).total == 10 * B * D * F


def test_layers_are_letters_of_modules_too():
    def build(D, L):
        return nn.ModuleDict({"layers": nn.Sequential(*(nn.Linear(D, D) for _ in range(L)))})["layers"]

    traced = trace(build, rows, dict(B=2, D=3, L=4))
    assert traced.by_module["0"].forward == 2 * B * D**2
    assert L in traced.forward.free_symbols


def test_operators_that_take_turns_count_as_one():
    """The first piece of two rows is all of them, and its product is another operator than that of more rows."""

    def first(layer, x):
        return layer(x.split(2, dim=1)[0])

    def steps(B, T, D):
        return torch.empty(B, T, D)

    traced = trace(lambda D: Apply(first, D), steps, dict(B=3, T=4, D=5))
    assert traced.forward == traced.by_module["layer"].forward == 4 * B * D**2
    assert traced.by_operator == {"aten::addmm or aten::mm": traced.total}


class Deep(nn.Module):
    """Linear layers, of which no more than ten run."""

    def __init__(self, D, L):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(D, D) for _ in range(L))

    def forward(self, x):
        for layer in self.layers[:10]:
            x = layer(x)
        return x


def test_a_formula_holds_at_the_examples_however_far_they_are_from_the_samples():
    assert trace(Deep, rows, dict(B=2, D=3, L=9)).forward == 2 * B * D**2 * L
    with pytest.raises(FormulaError, match=r"not a formula of the letters: at .*L=17"):
        trace(Deep, rows, dict(B=2, D=3, L=17))


def test_a_branch_on_the_length_of_a_tensor_is_seen_at_the_examples():
    def branching(layer, x):
        return layer(layer(x)) if len(x) > 20 else layer(x)

    assert traced_with(branching).forward == 2 * B * D**2
    with pytest.raises(FormulaError, match="not a formula of the letters"):
        traced_with(branching, B=23, D=13)


def test_what_the_examples_raise_is_told_as_it_is():
    with pytest.raises(RuntimeError, match="must have same reduction dim"):
        trace(lambda D, F: nn.Sequential(nn.Linear(D, F), nn.Linear(D, F)), rows, SIZES)


def test_a_product_of_three_operands():
    def contract(layer, x):
        return torch.einsum("bi,bj,ij->b", x, x, layer.weight)

    assert traced_with(contract).forward == 2 * B * D**2
