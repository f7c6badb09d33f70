"""Test the formulas that people publish, against their sources' own arithmetic and against published tables."""

from dataclasses import replace

import pytest
from sympy import Rational, expand

from flopbook.predict import B, D, E, F, G, H, L, T, V, axis, evaluate
from flopbook.predict.models import (
    CAUSAL,
    CLAIMS,
    INVENTORIES,
    KINDS,
    TRAINERS,
    attention_part,
    decoder,
    embedding,
    experts_part,
    feed_forward_part,
    in_window,
    inventory,
    output_layer,
)
from flopbook.predict.models.attention import causal, window
from flopbook.predict.models.published import PUBLISHED, WITH_EXPERTS, WITH_WINDOWS
from flopbook.predict.roofline import mfu

W = axis("W")
GPT = inventory(tied=True, biases=True, positions=True)
A100, TPU_V4 = 312e12, 275e12


def reaches(printed: str, *values: float) -> bool:
    """Whether a printed percentage lies between values that are rounded as the print is."""
    low, high = sorted(100 * value for value in values)
    half = 0.5 * 10 ** -len(printed.partition(".")[2])
    return low - half <= float(printed) <= high + half


def per_token(model):
    return expand((model.forward + model.backward) / (B * T))


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_an_inventory_is_the_decoder_of_the_same_choices(gated, tied):
    model = inventory(gated=gated, tied=tied)
    choices = {"matrices": 2 + gated, "tables": 2 - tied}
    assert expand(model.count() - decoder().at(**choices).parameters) == 0
    assert expand(model.dense - per_token(decoder().at(**choices))) == 0
    assert expand(model.needed - per_token(decoder(causal(T) / T).at(**choices))) == 0
    assert expand(model.needed - model.dense) != 0


def test_windows_are_a_sum_of_two_kinds_of_layers():
    model = inventory(gated=True, masks={CAUSAL: L / 3, in_window(W): 2 * L / 3})
    attention = attention_part().at(S=causal(T) / T) + 2 * attention_part().at(S=window(T, W) / T)
    stack = (L / 3) * (attention + 3 * feed_forward_part()) + output_layer() + 2 * embedding()
    sizes = dict(L=6, D=24, H=4, G=2, E=10, F=36, V=101, T=13, B=1, matrices=3)
    for width in (1, 5, 13, 40):
        assert evaluate(model.needed, sizes | {"W": width}) == evaluate(per_token(stack), sizes | {"W": width})
    assert evaluate(model.needed, sizes | {"W": 40}) == evaluate(inventory(gated=True).needed, sizes)


def test_experts_are_the_parts_of_a_block_and_of_experts():
    model = inventory(gated=True, experts=True)
    block = attention_part() + experts_part().at(matrices=3, J=0)
    whole = (L * block + output_layer() + 2 * embedding()).at(S=T)
    assert expand(model.count() - whole.parameters) == 0
    assert expand(model.count() - model.count("experts that a token does not meet") - whole.active) == 0
    assert expand(model.dense - per_token(whole)) == 0


def test_what_other_operators_take_is_added_with_and_without_a_mask():
    model = inventory(gated=True)
    more = replace(model, others=model.others + 7 * D)
    assert (more.dense - model.dense, more.needed - model.needed) == (7 * D, 7 * D)


def test_what_published_decoders_have_is_in_their_sizes():
    sizes = PUBLISHED | WITH_WINDOWS | WITH_EXPERTS
    assert INVENTORIES.keys() == sizes.keys()
    for name, model in INVENTORIES.items():
        assert (model.length, model.scores) == (sizes[name]["T"], sizes[name]["L"] * sizes[name]["H"])


def test_every_kind_of_parameter_is_in_every_inventory():
    for model in INVENTORIES.values():
        assert set(model.parameters) == set(KINDS)
        assert all(number.is_Integer for number in (*model.parameters.values(), model.dense, model.count()))


def test_published_parameters_are_reproduced_to_their_digits():
    assert INVENTORIES["GPT-2 small"].count() == 124_439_808
    assert INVENTORIES["Llama 3 8B"].count() == 8_030_261_248
    assert INVENTORIES["Mistral 7B"].count() == 7_241_732_096
    mixtral = INVENTORIES["Mixtral 8x7B"]
    active = mixtral.count() - mixtral.count("experts that a token does not meet")
    assert [f"{number / 1e9:.1f}" for number in (mixtral.count(), active)] == ["46.7", "12.9"]
    for layers, heads, width, billions in [(32, 16, 4096, "8.63"), (64, 32, 8192, "62.50"), (118, 48, 18432, "540.35")]:
        palm = inventory(gated=True, tied=True).at(L=layers, D=width, H=heads, G=1, E=256, F=4 * width, V=256_000)
        products = palm.count("matrices of the blocks", "table of both ends")
        assert f"{products / 1e9:.2f}" == billions  # Chowdhery and others, table 1, without norms


def test_narayanan_and_others_count_a_gpt_without_its_last_norm():
    """Equation 2, and equation 3, in the letters of the paper."""
    shape = {G: H, E: D / H, F: 4 * D}
    parameters = 12 * L * D**2 * (1 + Rational(13, 12) / D + (V + T) / (12 * L * D))
    assert expand(GPT.count().subs(shape) - parameters) == 2 * D
    step = 96 * L * D**2 * (1 + T / (6 * D) + V / (16 * L * D))
    assert expand(CLAIMS["Narayanan"].flops(GPT).subs(shape) - step) == 0


def test_korthikanti_and_others_count_attention_once_more_and_twice_too_often():
    shape = {G: H, E: D / H, F: 4 * D}
    model = 72 * L * D**2 * (1 + T / (6 * D) + V / (12 * L * D))
    hardware = 72 * L * D**2 * (1 + T / (3 * D) + V / (12 * L * D))
    assert expand(CLAIMS["Korthikanti, model"].flops(GPT).subs(shape) - model) == 0
    assert expand(CLAIMS["Korthikanti, hardware"].flops(GPT).subs(shape) - hardware) == 0
    run_again = attention_part().at(S=T).forward.coeff(H * E * B * T**2) * L * T * D  # two products, once more forward
    assert expand(hardware - model) == 3 * run_again


@pytest.mark.parametrize(
    ("sizes", "devices", "seconds", "model", "hardware"),
    [  # tables 3 and 5; a device is an A100, T is 2,048 and V is 51,200
        (dict(B=4, L=48, D=6144, H=64), 8, 1.10, "41.5", "43.7"),
        (dict(B=64, L=96, D=12288, H=96), 64, 13.75, "51.4", "52.8"),
        (dict(B=280, L=105, D=20480, H=128), 280, 37.83, "56.0", "57.0"),
        (dict(B=2240, L=105, D=20480, H=128), 2240, 39.15, "54.2", None),
        (dict(B=512, L=128, D=25600, H=160), 512, 71.49, "56.3", "57.0"),
    ],
)
def test_korthikantis_utilizations_are_reproduced(sizes, devices, seconds, model, hardware):
    width, heads = sizes["D"], sizes["H"]
    gpt = GPT.at(**sizes, G=heads, E=width // heads, F=4 * width, V=51200, T=2048)

    def utilization(flops):
        tokens = sizes["B"] * 2048
        return [float(mfu(flops * tokens, seconds + off, devices * A100)) for off in (-0.005, 0.005)]

    assert reaches(model, *utilization(CLAIMS["Korthikanti, model"].flops(gpt)))
    if hardware:
        assert reaches(hardware, *utilization(CLAIMS["Korthikanti, hardware"].flops(gpt)))
        once_more = gpt.dense + gpt.attention_flops(T) / 3
        assert not reaches(hardware, *utilization(once_more))


def test_palms_utilizations_are_reproduced():
    palm = inventory(gated=True, tied=True).at(L=118, D=18432, H=48, G=1, E=256, F=73728, V=256_000, T=2048)
    with_attention, without = (
        mfu(float(CLAIMS[name].flops(palm)) * 238.3e3, 1.0, 6144 * TPU_V4) for name in ("Chowdhery", "6 N")
    )
    assert [f"{100 * share:.1f}" for share in (with_attention, without)] == ["46.2", "45.7"]
    turing = GPT.at(L=105, D=20480, H=128, G=128, E=160, F=81920, V=51200, T=2048)
    rows = [mfu(float(CLAIMS[name].flops(turing)) * 65.43e3, 1.0, 2240 * A100) for name in ("Chowdhery", "6 N")]
    assert [f"{100 * share:.1f}" for share in rows] == ["30.2", "29.7"]


def test_nanogpts_notebook_is_reproduced():
    gpt = inventory(tied=True, positions=True).at(L=12, D=768, H=12, G=12, E=64, F=3072, V=50257, T=1024)
    assert gpt.count() == 124_337_664
    assert 1024 * CLAIMS["nanoGPT, notebook"].flops(gpt) == 874_944_921_600
    assert 1024 * CLAIMS["nanoGPT"].flops(gpt) == 875_062_886_400
    assert f"{100 * mfu(874_944_921_600 * 100, 0.755, A100):.2f}" == "37.14"


@pytest.mark.parametrize(
    ("sizes", "printed", "parameters"),
    [  # table A4
        (dict(L=10, D=640, H=10, E=64), "1.03", 73e6),
        (dict(L=20, D=1024, H=16, E=64), "1.10", 305e6),
        (dict(L=24, D=1280, H=10, E=128), "1.08", 552e6),
        (dict(L=26, D=1792, H=14, E=128), "1.04", 1.1e9),
        (dict(L=28, D=2048, H=16, E=128), "1.03", 1.6e9),
        (dict(L=40, D=3584, H=28, E=128), "0.99", 6.8e9),
    ],
)
def test_hoffmanns_table_leaves_out_both_ends(sizes, printed, parameters):
    gpt = inventory(tied=True).at(**sizes, G=sizes["H"], F=4 * sizes["D"], V=32_000, T=2048)
    relative = evaluate(L * D * H * E, sizes)
    N = gpt.count("matrices of the blocks", "table of both ends") + relative
    assert abs(N / parameters - 1) < 0.04
    claimed = CLAIMS["Hoffmann"].flops(gpt)
    assert f"{float((claimed - 12 * 32_000 * sizes['D']) / (6 * N)):.2f}" == printed
    assert f"{float(claimed / (6 * N)):.2f}" != printed


@pytest.mark.parametrize(
    ("millions", "printed"),
    [  # table D.1, 300 billion tokens each
        (125, "2.25E+20"), (356, "6.41E+20"), (760, "1.37E+21"), (1320, "2.38E+21"), (2650, "4.77E+21"),
        (6660, "1.20E+22"), (12850, "2.31E+22"), (174_600, "3.14E+23"),
    ],
)  # fmt: skip
def test_browns_table_is_six_for_each_parameter(millions, printed):
    assert f"{6 * millions * 10**6 * 300 * 10**9:.2E}" == printed


#: No two are equal.
SIZES = dict(L=6, D=24, H=5, G=3, E=8, F=36, V=101, T=14, W=9, X=7, K=2)


class TestSources:
    """Each source's own arithmetic, written a second time."""

    dense = inventory(gated=True).at(**SIZES)
    windows = inventory(gated=True, masks={in_window(W): L}).at(**SIZES)
    experts = inventory(gated=True, experts=True).at(**SIZES)
    attention = 24 * 40 * 2 + 24 * 24 * 2
    expert = 3 * 24 * 36

    def test_kaplan(self):
        gpt = inventory().at(**SIZES | {"G": 5})
        n_layer, d_model, d_attn, d_ff, n_ctx = 6, 24, 40, 36, 14
        N = 2 * d_model * n_layer * (2 * d_attn + d_ff)
        assert CLAIMS["Kaplan"].flops(gpt) == 3 * (2 * N + 2 * n_layer * n_ctx * d_attn)

    def test_kaplan_and_brown_differ_in_experts_that_a_token_does_not_meet(self):
        every = 6 * (self.attention + 7 * self.expert + 24 * 7)
        assert CLAIMS["Kaplan"].flops(self.experts) == 6 * every + 6 * 2 * 6 * 5 * 8 * 14 // 2
        rest = 6 * (2 * 24) + 24 + 2 * 101 * 24  # norms and both tables
        assert CLAIMS["6 N"].flops(self.experts) == 6 * (every + rest)
        assert CLAIMS["Brown"].flops(self.experts) == 6 * (every + rest - 6 * 5 * self.expert)

    def test_hoffmann(self):
        gpt = inventory().at(**SIZES | {"G": 5})
        T, V, D, heads, keys, ffw, layers = 14, 101, 24, 5, 8, 36, 6
        attention = 2 * 3 * T * D * keys * heads + 2 * T * T * keys * heads + 3 * heads * T * T
        attention += 2 * T * T * keys * heads + 2 * T * keys * heads * D
        forward = 2 * T * V * D + layers * (attention + 2 * T * (D * ffw + D * ffw)) + 2 * T * D * V
        assert T * CLAIMS["Hoffmann"].flops(gpt) == 3 * forward

    def test_megatron(self):
        query, kv = 8 * 5, 8 * 3
        for model, met in ((self.dense, 1), (self.experts, 2)):
            mlp, projections, core = 24 * 36 * 3 * met, 24 * (query + 2 * kv) + query * 24, query // 2 * 2
            step = 14 * 3 * 2 * (6 * (mlp + projections) + 24 * 101) + 14**2 * 3 * 2 * core * 6
            assert 14 * CLAIMS["Megatron-LM"].flops(model) == step
        assert CLAIMS["Megatron-LM"].flops(self.windows) == CLAIMS["Megatron-LM"].flops(self.dense)

    def test_torchtitan(self):
        shared = 6 * (self.attention + 2 * 24) + 24 + 101 * 24
        for model, feed_forward in ((self.dense, self.expert), (self.experts, 24 * 7 + 2 * self.expert)):
            assert CLAIMS["torchtitan"].flops(model) == 6 * (shared + 6 * feed_forward) + 6 * 6 * 5 * 16 * 14
        tied = inventory(gated=True, tied=True).at(**SIZES)
        assert CLAIMS["torchtitan"].flops(tied) == CLAIMS["torchtitan"].flops(self.dense)

    def test_olmo_core(self):
        head = 6 * (24 + 24 * 101)
        for model, reach, feed_forward in (
            (self.dense, 14, self.expert),
            (self.windows, 9, self.expert),
            (self.experts, 14, 24 * 7 + 2 * self.expert),
        ):
            block = 6 * (self.attention + feed_forward) + 12 * 5 * 8 * reach
            assert CLAIMS["OLMo-core"].flops(model) == 6 * block + head

    def test_hugging_face(self):
        norms = (2 * 6 + 1) * 24
        own = 6 * (6 * (self.attention + self.expert) + norms + 24 * 101)
        assert CLAIMS["Hugging Face"].flops(self.dense) == own
        tied = inventory(gated=True, tied=True).at(**SIZES)
        assert CLAIMS["Hugging Face"].flops(tied) == own - 6 * 24 * 101
        assert CLAIMS["Hugging Face"].flops(self.experts) == own + 6 * 6 * (6 * self.expert + 24 * 7)

    def test_maxtext_knows_the_windows_of_some_architectures(self):
        dense = 6 * (6 * (self.attention + self.expert) + 24 * 101)
        known = replace(self.windows, architecture="gpt_oss")
        for model, area in ((self.windows, Rational(14 * 14, 2)), (known, 14 * 9 - Rational(9 * 9, 2))):
            assert 14 * TRAINERS["MaxText"].flops(model) == 14 * dense + 12 * 6 * 5 * 8 * area

    def test_nanogpt(self):
        gpt = inventory(tied=True, biases=True, positions=True).at(**SIZES | {"G": 5, "E": 4, "D": 20})
        N = gpt.count() - 14 * 20
        assert CLAIMS["nanoGPT"].flops(gpt) == 6 * N + 12 * 6 * 5 * (20 // 5) * 14


def test_a_choice_that_is_neither_true_nor_false_is_refused():
    with pytest.raises(TypeError, match="tied=2 is neither True nor False"):
        inventory(tied=2)
