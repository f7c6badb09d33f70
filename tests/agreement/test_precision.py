"""Hold what formats lose, and what recipes keep, to PyTorch: predicted == measured, at sizes drawn at random."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from flopbook.measure import FlopCount
from flopbook.measure.memory import weigh
from flopbook.predict import evaluate, matmul
from flopbook.predict.formats import FORMATS
from flopbook.predict.models import RECIPES, kept_bytes
from flopbook.predict.packing import PACKINGS, grouped, share_scale
from flopbook.predict.rounding import largest_lost, loss_scale, standstill
from tests.support.decoder import Decoder

DTYPES = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "e5m2": torch.float8_e5m2,
    "e4m3": torch.float8_e4m3fn,
}
ONE, TOKEN_BYTES = torch.tensor(1.0), 8
small = st.integers(1, 7)


@settings(max_examples=50)
@given(st.sampled_from(list(DTYPES)), st.integers(0, 2**15))
def test_an_update_of_half_a_gap_is_lost_and_a_little_more_is_not(name, pattern):
    known, dtype = FORMATS[name], DTYPES[name]
    weight = known.value(2 * (pattern % (known.top // 2 - 1)))  # with a last bit of 0
    lost = float(largest_lost(name, weight))
    before = torch.tensor(float(weight), dtype=torch.float64)
    assert (before + lost).float().to(dtype) == before.to(dtype)
    assert (before + lost * 1.001).float().to(dtype).double() > before


@pytest.mark.parametrize("name", DTYPES)
def test_a_sum_of_equal_updates_stands_still_where_predicted(name):
    known, dtype = FORMATS[name], DTYPES[name]
    patterns = torch.randint(1, known.nearest(Fraction(1, 64)), (50,)).tolist()
    updates = [float(known.value(pattern)) for pattern in patterns]
    sums, each = torch.zeros(50, dtype=dtype), torch.tensor(updates)
    for _ in range(2 ** (known.fraction_bits + 2)):
        sums = (sums.float() + each).to(dtype)
    assert sums.tolist() == [float(standstill(name, update)) for update in updates]


@given(st.floats(1e-12, 1e-3))
def test_a_scaled_gradient_of_16_bits_is_normal(gradient):
    scale = loss_scale("fp16", gradient)
    normal = torch.finfo(torch.float16).tiny
    assert gradient * scale >= normal and (scale == 1 or gradient * scale / 2 < normal)
    assert torch.tensor(gradient * scale).half() >= normal


@st.composite
def decoders(draw):
    heads = {"G": draw(st.integers(1, 3))}
    heads["H"] = heads["G"] * draw(st.integers(1, 3))
    forms = {"matrices": draw(st.sampled_from([2, 3])), "tables": draw(st.sampled_from([1, 2]))}
    return {letter: draw(small) for letter in "BTDEFL"} | heads | forms | {"V": draw(st.integers(2, 9))}


def measured_bytes(recipe, sizes):
    B, T, V = (sizes[letter] for letter in "BTV")
    model = Decoder(**{name: size for name, size in sizes.items() if name not in "BT"})
    if recipe.startswith("bf16"):
        model.bfloat16()
    tokens, targets = torch.randint(V, (B, T)), torch.randint(V, (B * T,))

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe == "autocast"):
            logits = model(tokens)
            if recipe.endswith("loss in float32"):
                logits = logits.float()
            nn.functional.cross_entropy(logits.flatten(0, 1), targets).backward()

    return weigh(step, model, []).activations - 2 * TOKEN_BYTES * B * T


@settings(max_examples=15)
@given(decoders(), st.sampled_from(list(RECIPES)))
def test_a_decoder_keeps_the_bytes_of_its_recipe(sizes, recipe):
    measured = measured_bytes(recipe, sizes)
    assert evaluate(kept_bytes(recipe), sizes) == measured
    assert evaluate(kept_bytes("autocast" if recipe != "autocast" else "float32"), sizes) != measured


def test_an_unknown_recipe_is_refused():
    with pytest.raises(ValueError, match="recipe='Autocast' is not known"):
        kept_bytes("Autocast")


y = matmul("x[B,D] @ w[D,K] -> y[B,K]")


@settings(max_examples=25)
@given(small, small, small)
def test_a_product_of_fewer_bits_takes_as_many_flops(B, D, K):
    x, w = (torch.randn(*shape).to(torch.float8_e4m3fn) for shape in ((B, D), (K, D)))
    with FlopCount() as of_fp8:
        torch._scaled_mm(x, w.T, scale_a=ONE, scale_b=ONE, out_dtype=torch.float32)
    with FlopCount() as of_int8, torch.device("meta"):  # at small sizes PyTorch's own kernel reads beyond its operands
        codes, scales = torch.empty(K, D, dtype=torch.int8), torch.empty(K, dtype=torch.bfloat16)
        torch.ops.aten._weight_int8pack_mm(torch.empty(B, D, dtype=torch.bfloat16), codes, scales)
    assert of_fp8.total == of_int8.total == evaluate(y.flops, dict(B=B, D=D, K=K)) != 2 * B * D * (K + 1)


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(1, 4), st.sampled_from([32, 64, 128]))
def test_packed_weights_are_as_many_bytes_as_predicted(K, blocks, group):
    K, D = 16 * K, 128 * blocks
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(torch.zeros(K, D, dtype=torch.int32), 1)
    scales_and_zeros = torch.zeros(D // group, K, 2, dtype=torch.bfloat16)
    predicted = grouped(4, group, zero_bits=16).bytes(D, rows=K)
    assert packed.nbytes + scales_and_zeros.nbytes == predicted
    with FlopCount() as count:
        torch.ops.aten._weight_int4pack_mm_for_cpu(torch.ones(3, D).bfloat16(), packed, group, scales_and_zeros)
    assert count.total == evaluate(y.flops, dict(B=3, D=D, K=K))
    halves = torch.zeros(K, D // 2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    assert halves.nbytes + torch.ones(K, D // 32, dtype=torch.float8_e8m0fnu).nbytes == PACKINGS["MXFP4"].bytes(D, K)
    with_float = torch.ones(K, D // 16, dtype=torch.float8_e4m3fn).nbytes + ONE.nbytes
    assert halves.nbytes + with_float == PACKINGS["NVFP4"].bytes(D, K)


@settings(max_examples=30)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=32), st.sampled_from(["e4m3", "e5m2"]))
def test_numbers_that_share_a_power_of_two_are_those_of_pytorch(numbers, name):
    block, given = share_scale(numbers, name), torch.tensor(numbers, dtype=torch.float64)
    largest = given.abs().max()
    if largest < 1e-30:
        return
    dtype, info = DTYPES[name], torch.finfo(DTYPES[name])
    power = largest.frexp().exponent - torch.tensor(info.max).double().frexp().exponent
    scale = 2.0 ** power.item()
    stored = (given / scale).clamp(-info.max, info.max).float().to(dtype).double() * scale
    assert block.scale == Fraction(scale) and [float(kept) for kept in block.kept] == stored.tolist()
