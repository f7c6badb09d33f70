"""Hold models of images on paper to the library: parameters, forward and backward pass, to the last one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.published import from_config
from flopbook.published.in_library.witness import witness
from tests.support.published import assert_agrees, assert_no_effect, defaults, on_paper

LAYERS = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40)
IMAGES = dict(image_size=30, patch_size=8)
MODELS = {
    "vit": LAYERS | IMAGES,
    "clip": dict(
        projection_dim=9,
        text_config=LAYERS | dict(vocab_size=53, max_position_embeddings=11, pad_token_id=1),
        vision_config=LAYERS | IMAGES | dict(hidden_size=32, num_hidden_layers=3),
    ),
}
SIZES = {"vit": dict(B=2), "clip": dict(B=2, T=7)}


@pytest.mark.parametrize("model_type", MODELS)
def test_the_librarys_defaults_are_read_to_the_last_key(model_type):
    config = defaults(model_type, **MODELS[model_type])
    assert_agrees(config, **SIZES[model_type])
    assert_no_effect(config, **SIZES[model_type])


@pytest.mark.parametrize("model_type", MODELS)
def test_keys_that_are_left_out_have_the_librarys_defaults(model_type):
    assert_agrees(dict(model_type=model_type), **dict.fromkeys(SIZES[model_type], 1))


@st.composite
def transformers(draw):
    heads = draw(st.integers(1, 5))
    return dict(
        hidden_size=heads * draw(st.integers(1, 9)), num_attention_heads=heads,
        num_hidden_layers=draw(st.integers(1, 3)), intermediate_size=draw(st.integers(1, 50)),
    )  # fmt: skip


@st.composite
def images(draw, lists=True):
    side = st.integers(1, 9)
    patch = draw(st.lists(side, min_size=2, max_size=2) if lists and draw(st.booleans()) else side)
    image = draw(st.lists(st.integers(9, 33), min_size=2, max_size=2) if lists and draw(st.booleans()) else
        st.integers(9, 33))  # fmt: skip
    return dict(image_size=image, patch_size=patch, num_channels=draw(st.integers(1, 4)))


@settings(max_examples=4, deadline=None)
@given(transformers(), images(), st.booleans(), st.integers(0, 4), st.integers(1, 3))
def test_any_vision_transformer_agrees(layers, sizes, qkv_bias, num_labels, B):
    assert_agrees(dict(model_type="vit", qkv_bias=qkv_bias, num_labels=num_labels) | layers | sizes, B=B)


@settings(max_examples=4, deadline=None)
@given(transformers(), transformers(), images(lists=False), st.integers(1, 9), st.integers(1, 3), st.integers(1, 11))
def test_any_pair_of_encoders_agrees(text, image, sizes, projection_dim, B, T):  # noqa: PLR0913, PLR0917  (each is drawn)
    text |= dict(vocab_size=31, max_position_embeddings=11)
    config = dict(model_type="clip", text_config=text, vision_config=image | sizes, projection_dim=projection_dim)
    assert_agrees(config, B=B, T=T)


def test_classes_are_counted_or_named():
    config = dict(model_type="vit", **MODELS["vit"], id2label={"0": "cat", "1": "dog", "2": "owl"})
    assert from_config(config).sizes["Kc"] == 3
    assert_agrees(config, B=1)
    assert_agrees(config | dict(num_labels=5), B=1)


def test_an_older_key_of_a_part_wins():
    config = dict(model_type="clip", **MODELS["clip"])
    older = dict(hidden_size=16, num_attention_heads=2, num_hidden_layers=1)
    assert_agrees(config | dict(text_config_dict=older), B=1, T=3)
    assert_agrees(config | dict(vision_config_dict=older), B=1, T=3)


@pytest.mark.parametrize("model_type", MODELS)
def test_a_wrong_size_is_noticed(model_type):
    config = dict(model_type=model_type, **MODELS[model_type])
    wrong = dict(num_channels=4) if model_type == "vit" else dict(projection_dim=10)
    assert on_paper(config | wrong, **SIZES[model_type]) != witness(config, **SIZES[model_type])


def test_only_texts_are_masked():
    network = from_config(defaults("clip", **MODELS["clip"]))
    masked = 3 * (7 * 7 - 7 * 8 // 2)  # texts times the pairs that are no longer met
    assert network.step(B=3, T=7) - network.step(B=3, T=7, needed=True) == 2 * 3 * 4 * 24 * masked
    assert network.cache == 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dict(model_type="vit", image_size=8), "give patches that fit into the image"),
        (dict(model_type="vit", patch_size=[4, 4, 4]), "patch_size = [4, 4, 4]: give a height and a width"),
        (dict(model_type="vit", patch_size=[4, 0]), "patch_size[1] = 0: give a whole number of at least 1"),
        (dict(model_type="clip", text_config=dict(hiden_size=4)), "config.text_config has the key 'hiden_size'"),
        (dict(model_type="clip", vision_config=7), "vision_config = 7: give a configuration in curly brackets"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(config, message):
    with pytest.raises(ValueError, match="config") as refused:
        from_config(config)
    assert message in str(refused.value)
