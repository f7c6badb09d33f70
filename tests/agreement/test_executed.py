"""Test that the recorded processor executed what the formulas predict, to the integer."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from flopbook.measure.processor import recorded
from flopbook.measure.processor.instructions import FUSED, flops
from flopbook.predict import conv, evaluate, matmul, training_step
from flopbook.predict import flops as flops_of
from flopbook.predict.fast_products import fast_product
from flopbook.predict.models import causal, real_taps
from flopbook.predict.optimizers import OPTIMIZERS
from flopbook.predict.sparse_products import stored_flops

ROOT = Path(__file__).parents[2]
DATA = ROOT / "reference" / "data" / "executed.json"
RAN = recorded(DATA)
PROGRAMS = json.loads(DATA.read_text(encoding="utf-8"))["programs"]

PRODUCT = matmul("x[B,D] @ w[D,K] -> y[B,K]")
LAYERS = matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]")
ATTENTION = matmul("q[B,H,T,E] @ k[B,H,S,E] -> s[B,H,T,S]"), matmul("s[B,H,T,S] @ v[B,H,S,E] -> y[B,H,T,E]")
STEPS = {
    "product": training_step(PRODUCT),
    "product of squares": training_step(PRODUCT),
    "layer": training_step(PRODUCT, data="x"),
    "training step": training_step(*LAYERS, data="x"),
}


def sizes(name):
    """Return a program's sizes; attention is of every position with every position."""
    given = PROGRAMS[name]["sizes"]
    return {"S": given["T"], **given} if "T" in given else given


def predicted(name, products):
    return sum(evaluate(product.flops, sizes(name)) for product in products)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("phase", ["forward", "backward"])
def test_fused_multiply_adds_are_the_products(name, phase):
    products = getattr(STEPS[name], phase)
    assert RAN[name][phase].fused == predicted(name, products) != predicted(name, products[1:])


def test_the_square_product_is_exactly_524_288():
    assert RAN["product of squares"]["forward"].fused == 524_288


def test_strassens_products_are_the_formulas_and_each_sum_is_a_multiply_add():
    ran, work = RAN["Strassen's product"], fast_product(*sizes("Strassen's product").values())
    assert ran["products"].fused == 2 * work.multiplications < predicted("Strassen's product", [PRODUCT])
    assert ran["sums before"].flops + ran["sums after"].flops == 2 * work.around


def test_a_sparse_product_multiplies_what_is_stored_and_nothing_else():
    ran, given = RAN["sparse product"]["forward"], sizes("sparse product")
    stored = given["K"] * given["stored"]
    assert ran.by_operation()[FUSED] == evaluate(stored_flops(PRODUCT, "w", stored), dict(B=given["B"]))


def test_a_product_is_scaled_once_an_entry():
    scaled = {phase: ran.by_operation(within="gemm")["multiply"] for phase, ran in RAN["product"].items()}
    given = sizes("product")
    B, D, K = (given[axis] for axis in "BDK")
    assert scaled == {"forward": B * K, "backward": B * D + D * K}


@pytest.mark.parametrize("name", ["loop", "loop, vectorised"])
def test_the_loop_executes_the_product_and_nothing_else(name):
    assert RAN[name]["forward"].flops == predicted(name, [PRODUCT])


def test_vector_instructions_change_the_number_of_instructions_and_not_of_flops():
    plain, vectorised = RAN["loop"]["forward"], RAN["loop, vectorised"]["forward"]
    assert plain.flops == vectorised.flops and plain.instructions > 8 * vectorised.instructions
    assert FUSED in vectorised.by_operation() and FUSED not in plain.by_operation()


def test_remainders_fill_whole_vectors_of_the_last_axis():
    ran, given = RAN["product with remainders"], sizes("product with remainders")
    kinds = {kind for _, function, kind in ran["forward"].times if "gemm" in function and "fmadd" in kind}
    (lanes,) = {flops(kind) // 2 for kind in kinds}
    B, D, K = (given[axis] for axis in "BDK")
    whole_d, whole_k = (-(-size // lanes) * lanes for size in (D, K))
    assert ran["forward"].fused == 2 * B * D * whole_k > 2 * B * D * K
    assert ran["backward"].fused == 2 * B * D * whole_k + 2 * B * K * whole_d


def test_a_padded_convolution_is_the_product_with_the_unfolded_image():
    """Padding and all: its places are columns that fill whole vectors, and its gradients are the formula itself."""
    ran, given = RAN["convolution"], sizes("convolution")
    C, K, X, R = (given[axis] for axis in "CKXR")
    step = training_step(conv("x[B,C,X,Y] * w[K,C,R,S] -> y[B,K,P,Q]"))
    letters = dict(B=1, C=C, K=K, P=X, Q=X, R=R, S=R)
    places = -(-X * X // 8) * 8
    assert ran["forward"].fused == 2 * K * places * C * R * R == 921_600
    assert evaluate(flops_of(step.forward), letters) == 903_168
    assert ran["backward"].fused == evaluate(flops_of(step.backward), letters)
    folded = ran["backward"].by_operation(within="unfolded2d_acc")
    assert folded == {"add, subtract": C * sum(real_taps(X, R, padding=R // 2)) ** 2}


def test_attention_runs_two_products_forward_and_five_backward():
    step = training_step(*ATTENTION)
    ran, again = RAN["attention"], predicted("attention", ATTENTION[:1])
    assert ran["forward"].fused == predicted("attention", step.forward)
    assert ran["backward"].fused == predicted("attention", step.backward) + again


def test_causal_attention_skips_keys_in_whole_blocks():
    """A kernel that leaves out blocks of M keys whole is causal over T/M blocks, of M x M pairs each."""
    M, (T, E) = 512, (sizes("causal attention")[axis] for axis in "TE")
    products = {"forward": 2, "backward": 5}
    for phase, ran in RAN["causal attention"].items():
        assert ran.fused == products[phase] * 2 * E * M**2 * causal(T // M)
        assert products[phase] * 2 * E * causal(T) < ran.fused < products[phase] * 2 * E * T**2


def test_an_update_by_sgd_is_one_multiply_add_a_parameter():
    given = sizes("training step")
    D, H, K = (given[axis] for axis in "DHK")
    assert RAN["training step"]["optimizer"].by_operation() == {FUSED: 2 * (D * H + H + H * K + K)}


def test_updates_run_what_their_rules_say_but_for_roots_by_products():
    N = PROGRAMS["updates"]["sizes"]["N"]
    ran = {name: phase.flops / N for name, phase in RAN["updates"].items()}
    rules = {name: OPTIMIZERS[name.partition(",")[0]].operations for name in ran}
    for name in ("SGD", "Adamax", "AdamW, fused"):
        assert rules[name] <= ran[name] < rules[name] + 0.2
    for name in ("RMSprop", "Adagrad", "Adam", "AdamW", "NAdam"):
        assert rules[name] + 13 <= ran[name] < rules[name] + 14.1
    assert ran["Adadelta"] == pytest.approx(rules["Adadelta"] + 2 * 13, abs=0.1)  # it has two roots


def test_nothing_recorded_is_unknown_and_next_to_nothing_unread():
    for ran in (ran for phases in RAN.values() for ran in phases.values()):
        assert not ran.unknown
        assert ran.unread < ran.instructions / 500


def test_the_file_says_when_and_with_what_it_was_recorded():
    record = json.loads(DATA.read_text(encoding="utf-8"))
    said = {"recorded", "processor", "valgrind", "gcc", "objdump", "python", "torch", "units"}
    assert set(record) == {"schema", "programs", *said} and record["schema"] == 1 and all(record[what] for what in said)
    for program in PROGRAMS.values():
        assert set(program) == {"program", "sizes", "flags", "phases"}
        for phase in program["phases"].values():
            assert set(phase) == {"instructions", "unread", "times"}
            assert sum(runs for *_, runs in phase["times"]) <= phase["instructions"] - phase["unread"]


TOOLS = [tool for tool in ("valgrind", "gcc", "objdump") if not shutil.which(tool)]


@pytest.mark.skipif(bool(TOOLS), reason=f"{', '.join(TOOLS)} not found: apt-get install valgrind gcc binutils")
@pytest.mark.parametrize("name", ["loop", "loop, vectorised"])
def test_the_smallest_programs_run_again(tmp_path, name):
    spec = importlib.util.spec_from_file_location("recording", ROOT / "reference" / "executed" / "__main__.py")
    recording = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recording)
    case = recording.CASES[name]
    (ran,) = recording.record(case, tmp_path).values()
    assert ran.flops == evaluate(PRODUCT.flops, case.sizes)
