"""Hold models that take noise from images to diffusers: parameters, forward and backward pass, to the last one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.published import from_config
from flopbook.published.config import ConfigError
from flopbook.published.in_library.witness import witness
from tests.support.published import assert_agrees, assert_no_effect, on_paper

UNET = dict(
    _class_name="UNet2DConditionModel", block_out_channels=[32, 64], attention_head_dim=[2, 4], sample_size=16,
    down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"], up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
    layers_per_block=1, cross_attention_dim=24, norm_num_groups=8,
)  # fmt: skip
DIT = dict(
    _class_name="DiTTransformer2DModel", num_attention_heads=2, attention_head_dim=6, num_layers=2, sample_size=8,
    patch_size=2, num_embeds_ada_norm=5,
)  # fmt: skip


@pytest.mark.parametrize(("config", "sizes"), [(UNET, dict(B=2, T=5)), (DIT, dict(B=2))])
def test_the_librarys_defaults_are_read_to_the_last_key(config, sizes):
    import diffusers  # noqa: PLC0415  (seconds, in each process that collects this file)

    model = getattr(diffusers, config["_class_name"])
    said = {"_class_name": config["_class_name"], **model(**{k: v for k, v in config.items() if k[0] != "_"}).config}
    assert_agrees(said, **sizes)
    assert_no_effect(said, **sizes)


@pytest.mark.parametrize(
    ("name", "sizes"), [("UNet2DConditionModel", dict(B=1, T=3, Ih=16, Iw=8)), ("DiTTransformer2DModel", dict(B=1))]
)
def test_keys_that_are_left_out_have_the_librarys_defaults(name, sizes):
    assert_agrees(dict(_class_name=name), **sizes)


@st.composite
def unets(draw):
    number = draw(st.integers(1, 3))
    several = dict(min_size=number, max_size=number)
    kinds = [draw(st.lists(st.booleans(), **several)) for _ in range(2)]
    down, up = ([f"{'CrossAttn' * is_cross}{way}Block2D" for is_cross in each]
                for way, each in zip(("Down", "Up"), kinds, strict=True))  # fmt: skip
    described = draw(st.booleans())
    return UNET | dict(
        down_block_types=down, up_block_types=up, norm_num_groups=4,
        block_out_channels=[8 * each for each in draw(st.lists(st.integers(1, 4), **several))],
        attention_head_dim=draw(st.lists(st.sampled_from([1, 2, 4]), **several)),
        layers_per_block=draw(st.lists(st.integers(1, 3), **several)),
        transformer_layers_per_block=draw(st.lists(st.integers(1, 2), **several)),
        cross_attention_dim=draw(st.integers(1, 30)),
        sample_size=draw(st.lists(st.integers(9, 24), min_size=2, max_size=2)),
        downsample_padding=draw(st.integers(0, 1)), use_linear_projection=draw(st.booleans()),
        conv_in_kernel=draw(st.sampled_from([1, 3])), in_channels=draw(st.integers(1, 9)),
        mid_block_type=draw(st.sampled_from(["UNetMidBlock2DCrossAttn", None])),
        time_embedding_dim=draw(st.sampled_from([None, 20])),
        **(dict(addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=60)
           if described else {}),
    )  # fmt: skip


@settings(max_examples=4, deadline=None)
@given(unets(), st.integers(1, 3), st.integers(1, 9))
def test_any_unet_agrees(config, B, T):
    assert_agrees(config, B=B, T=T)


@st.composite
def dits(draw):
    patch = draw(st.integers(1, 3))
    return DIT | dict(
        num_attention_heads=2 * draw(st.integers(1, 3)), attention_head_dim=2 * draw(st.integers(1, 5)),
        num_layers=draw(st.integers(1, 3)), patch_size=patch, sample_size=patch * draw(st.integers(1, 5)),
        in_channels=draw(st.integers(1, 4)), out_channels=draw(st.sampled_from([None, 1, 6])),
        attention_bias=draw(st.booleans()), norm_elementwise_affine=draw(st.booleans()),
        activation_fn=draw(st.sampled_from(["gelu", "geglu", "gelu-approximate"])),
    )  # fmt: skip


@settings(max_examples=4, deadline=None)
@given(dits(), st.integers(1, 3))
def test_any_dit_agrees(config, B):
    assert_agrees(config, B=B)


def test_keys_of_published_files_are_understood():
    besides = dict(
        cross_attention_dim=None, num_vector_embeds=None, only_cross_attention=False, use_linear_projection=False
    )
    assert from_config(DIT | besides).parts == from_config(DIT).parts


def test_a_wrong_size_is_noticed():
    assert on_paper(UNET | dict(cross_attention_dim=25), B=2, T=5) != witness(UNET, B=2, T=5)
    assert on_paper(DIT | dict(num_layers=3), B=2) != witness(DIT, B=2)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (UNET | dict(dual_cross_attention=True), "dual_cross_attention = True, which is not understood"),
        (UNET | dict(up_block_types=["UpBlock2D", "AttnUpBlock2D"]), "known are CrossAttnUpBlock2D and UpBlock2D"),
        (UNET | dict(up_block_types=["UpBlock2D"]), "1 up_block_types and 2 down_block_types"),
        (UNET | dict(layers_per_block=[1, 2, 3]), "give 2 numbers of at least 1, or one"),
        (UNET | dict(cross_attention_dim=[1, 2]), "one width of words for all"),
        (DIT | dict(sample_size=7), "sample_size = 7 and patch_size = 2: give a multiple"),
        (DIT | dict(cross_attention_dim=64), "cross_attention_dim = 64, which is not understood: known are null"),
        (DIT | dict(norm_type="ada_norm"), 'known are "ada_norm_zero"'),
    ],
)
def test_what_is_not_understood_is_refused(config, words):
    with pytest.raises(ConfigError, match=words):
        from_config(config)
