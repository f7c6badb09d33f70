"""Test what an author writes for a calculator, and the errors about it."""

import re
from dataclasses import replace

import pytest
import sympy

from flopbook.predict.axes import B, D, K, axis
from flopbook.predict.memory import FLOAT32, MIXED
from flopbook.predict.models import mlp
from flopbook.predict.optimizers import OPTIMIZERS, update_flops
from flopbook.predict.plans import Plan, training_plan
from flopbook.predict.values import evaluate
from flopbook.teaching.calculators.html import Size, panel
from flopbook.teaching.calculators.javascript import UnprintableError
from flopbook.teaching.calculators.make import CalculatorError, calculator
from flopbook.teaching.formulas import boxed

FORMULA = boxed("matmul", "A matrix product", 2 * B * D * K, when="always", sizes={"B": 4, "D": 3, "K": 2}, counted=48)
RATIO = boxed("ratio", "A ratio", B / (B + D), when="always", sizes={"B": 4, "D": 4}, counted=sympy.Rational(1, 2))


def matmul(*sizes, **options):
    return calculator(FORMULA, sizes=sizes, **options)


def test_a_box_is_enough():
    found = matmul()
    assert [row.expression for row in found.rows] == [2 * B * D * K]
    assert found.start == {"B": 4, "D": 3, "K": 2}
    assert found.sizes[0] == Size("B", found.sizes[0].meaning, 1, 65536, 4)
    assert found.sizes[0].meaning.startswith("batch")


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("B: 1 to 128", Size("B", "", 1, 128, 4)),
        ("B: 2 to 1_024, at 64", Size("B", "", 2, 1024, 64)),
        ("B: 2 to 8 only, at 4", Size("B", "", 2, 8, 4, only=True)),
        ("B: 2 to 8, at 3, a divisor of D", Size("B", "", 2, 8, 3, divides="D")),
        ("B, sequences: at 8", Size("B", "sequences", 1, 65536, 8)),
        ("B, sequences of a step", Size("B", "sequences of a step", 1, 65536, 4)),
        ("B: 1 to 10_000_000, at 5_000_000", Size("B", "", 1, 10_000_000, 5_000_000)),
    ],
)
def test_a_line_sets_a_size(line, size):
    found = matmul(line).sizes[0]
    assert replace(found, meaning=size.meaning) == size
    assert size.meaning in found.meaning


def test_several_names_make_several_rows():
    found = calculator(FORMULA, RATIO)
    assert [row.title for row in found.rows] == ["A matrix product", "A ratio"]


def test_time_is_flops_over_the_peak():
    found = matmul(time="H100 SXM, bf16")
    time = found.rows[1]
    assert (time.unit, time.expression) == ("s", 2 * B * D * K / (10**9 * axis("peak")))
    assert found.start["peak"] == 989_400
    assert next(iter(found.choices["Device"])) == "H100 SXM, bf16"
    assert time.value(found.start) == sympy.Rational(48, 989_400 * 10**9)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Q: at 8", "'Q: at 8': Q is in no formula here: those have B, D, K"),
        ("B: one to 8", "'B: one to 8': this is not a size: write it like 'B, the batch: 1 to 65536, at 64'"),
        ("B: 8 to 4", "'B: 8 to 4': B starts at 4, which is not between 8 and 4: write it like"),
        ("B: 1 to 64, at 65", "'B: 1 to 64, at 65': B starts at 65, which is not between 1 and 64"),
        ("B: 0 to 64", "'B: 0 to 64': B starts at 4, which is not between 0 and 64"),
        ("D: 1 to 8", "'D: 1 to 8': D is set above already"),
        ("matrices: at 3", "'matrices: at 3': matrices is in no formula here"),
    ],
)
def test_a_line_that_is_not_a_size_is_quoted(line, said):
    with pytest.raises(CalculatorError, match=re.escape(said)):
        matmul("D: 1 to 64", "", line)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("B: at 4, a divisor of D", "B starts at 4, which does not divide D = 3"),
        ("B: at 4, a divisor of Q", "'Q', which B should divide, is not a size here: those are B, D, K"),
    ],
)
def test_an_impossible_divisor_is_refused(line, said):
    with pytest.raises(CalculatorError, match=re.escape(said)):
        matmul(line)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"curve": "Q"}, "curve='Q' is not a size of this calculator: those are B, D, K"),
        ({"time": "H100"}, "time='H100' is not a device whose peak is known: those are A100 SXM 80GB, fp32; "),
    ],
)
def test_an_option_that_names_nothing_is_quoted(options, said):
    with pytest.raises(CalculatorError, match=re.escape(said)):
        matmul(**options)


def test_a_size_without_a_start_is_named():
    with pytest.raises(CalculatorError, match="'B': B has no value to start from: write it like"):
        calculator(training_plan("mlp", "An MLP", mlp(), samples=B))


def test_a_formula_that_cannot_be_printed_fails_by_name():
    with pytest.raises(UnprintableError, match=r"sqrt\(B\) has no exact value"):
        calculator(replace(FORMULA, expression=sympy.sqrt(B)))


def test_without_a_formula_the_error_says_what_to_give():
    with pytest.raises(CalculatorError, match=r"give what boxed\(...\) or training_plan\(...\) returned"):
        calculator(sizes=["B: at 3"])


def test_the_script_says_what_it_computes():
    assert "    // A matrix product: 2*B*D*K\n    (B, D, K) => [2n*B*D*K, 1n],\n" in matmul().script


def test_in_a_notebook_it_needs_nothing_else_and_changes_no_address():
    html = matmul()._repr_mimebundle_()["text/html"]
    assert matmul().script in html
    assert "data-address" not in html and 'class="copy-link"' not in html
    assert not re.search(r"<(link|script)[^>]*(href|src)=", html)


SIZES = {"B": 64, "D": 5, "H": 7, "K": 3, "L": 4, "devices": 3, "peak": 1000, "utilization": 40, "budget": 1000}


@pytest.mark.parametrize("optimizer", ["AdamW", "Adam", "SGD with momentum", "SGD"])
@pytest.mark.parametrize(
    ("precision", "formats"), [("float32", FLOAT32), ("16 bits, with a float32 copy and moments", MIXED)]
)
def test_choices_stand_for_what_they_name(optimizer, precision, formats):
    plan = training_plan("mlp", "An MLP", mlp(), samples=B)
    sizes = SIZES | plan.choices["Optimizer"][optimizer] | plan.choices["Precision"][precision]
    sizes |= plan.choices["Sharding"]["none: each device holds all"]

    def value(title):
        return plan.rows[title][1].xreplace({axis(name): sympy.Integer(size) for name, size in sizes.items()})

    parameters, tensors = value("Parameters"), evaluate(mlp().tensors, SIZES)
    state = OPTIMIZERS[optimizer].state
    assert value("Update") == update_flops(optimizer, parameters, tensors)
    assert value("Bytes of parameters") == formats.parameters * parameters
    assert value("Bytes of optimizer state") == (
        parameters * (state.moments * formats.moments + formats.master) + 4 * state.counters * tensors
    )
    assert value("Bytes of activations") == formats.activations * evaluate(mlp().activations, SIZES | {"B": 22})
    assert value("One step") == value("Forward pass") + value("Backward pass") + value("Update")
    share_flops = evaluate(mlp().forward + mlp().backward, SIZES | {"B": 22})
    assert value("Time of a step") == share_flops / sympy.Integer(10**12) / sympy.Rational(40, 100)
    assert value("Steps") == 16
    assert value("Devices × time") == 3 * value("Time of all steps") == 3 * 16 * value("Time of a step") / 3600


def test_devices_without_a_sample_save_no_time():
    time = training_plan("mlp", "An MLP", mlp(), samples=B).rows["Time of a step"][1]
    assert time.subs({axis("devices"): 64, B: 64}) == time.subs({axis("devices"): 10**5, B: 64})


EACH = [f"{name}: at 3" for name in ("L", "D", "H", "K", "B", "budget", "devices", "utilization")]


def test_several_plans_have_a_table_each_and_watch_each_row_once():
    train = training_plan("mlp", "Train", mlp(), samples=B)
    found = calculator(train, Plan("use", "Use", {"Answers": ("", B), "Bytes": ("B", 2 * B)}, {}), sizes=EACH)
    assert [row.part for row in found.rows] == ["Train"] * len(train.rows) + ["Use"] * 2
    assert found.watched == list(train.watched)
    (html,) = (part for part in panel(found, on_site=True) if isinstance(part, str) and "results" in part)
    assert html.count("<table") == 2 and "<caption>Train</caption>" in html and "<caption>Use</caption>" in html


def test_a_field_for_a_file_stands_below_the_models_on_the_site_alone():
    plan = replace(training_plan("mlp", "Train", mlp(), B, {"small": SIZES}), reader="json:loads")
    on_site, alone = ("".join(map(str, panel(calculator(plan, sizes=EACH), on_site=site))) for site in (True, False))
    assert on_site.index('data-choice="model"') < on_site.index('data-reader="json:loads"') < on_site.index("optimizer")
    assert "data-reader" not in alone
    assert "data-reader" not in "".join(map(str, panel(calculator(replace(plan, reader=""), sizes=EACH), on_site=True)))
