"""Hold networks of convolutions on paper to the library: parameters, forward and backward pass, to the last one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.published import from_config
from flopbook.published.config import ConfigError
from flopbook.published.in_library.witness import witness
from tests.support.published import assert_agrees, assert_no_effect, defaults, on_paper

SMALL = dict(hidden_sizes=[8, 12, 20], depths=[1, 2, 1], num_labels=7)
SIZES = {"resnet": dict(B=2, Ih=45, Iw=61), "convnext": dict(B=2)}


@pytest.mark.parametrize("model_type", SIZES)
def test_the_librarys_defaults_are_read_to_the_last_key(model_type):
    config = defaults(model_type, **SMALL) | ({"num_stages": 3, "image_size": 45} if model_type == "convnext" else {})
    assert_agrees(config, **SIZES[model_type])
    assert_no_effect(config, **SIZES[model_type])


@pytest.mark.parametrize("model_type", SIZES)
def test_keys_that_are_left_out_have_the_librarys_defaults(model_type):
    assert_agrees(dict(model_type=model_type), **SIZES[model_type])


@st.composite
def resnets(draw):
    number = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["basic", "bottleneck"]))
    return dict(
        model_type="resnet", layer_type=kind, embedding_size=draw(st.integers(1, 9)),
        hidden_sizes=draw(st.lists(st.integers(4, 21), min_size=number, max_size=number)),
        depths=draw(st.lists(st.integers(1, 3), min_size=number, max_size=number)),
        downsample_in_first_stage=draw(st.booleans()), downsample_in_bottleneck=draw(st.booleans()),
        num_channels=draw(st.integers(1, 4)), num_labels=draw(st.integers(0, 5)),
    )  # fmt: skip


@settings(max_examples=4, deadline=None)
@given(resnets(), st.integers(1, 3), st.integers(33, 70), st.integers(33, 70))
def test_any_resnet_agrees(config, B, Ih, Iw):
    assert_agrees(config, B=B, Ih=Ih, Iw=Iw)


@st.composite
def convnexts(draw):
    number = draw(st.integers(1, 3))
    return dict(
        model_type="convnext", num_stages=number, layer_scale_init_value=draw(st.sampled_from([0.0, 1e-6])),
        hidden_sizes=draw(st.lists(st.integers(1, 21), min_size=number, max_size=number)),
        depths=draw(st.lists(st.integers(1, 3), min_size=number, max_size=number)),
        image_size=draw(st.lists(st.integers(20, 70), min_size=2, max_size=2)), patch_size=draw(st.integers(1, 4)),
        num_channels=draw(st.integers(1, 4)), num_labels=draw(st.integers(0, 5)),
    )  # fmt: skip


@settings(max_examples=4, deadline=None)
@given(convnexts(), st.integers(1, 3))
def test_any_convnext_agrees(config, B):
    assert_agrees(config, B=B)


def test_a_wrong_size_is_noticed():
    config = dict(model_type="resnet", **SMALL)
    assert on_paper(config | dict(depths=[1, 2, 2]), **SIZES["resnet"]) != witness(config, **SIZES["resnet"])


def test_resnet_50_has_the_parameters_and_products_that_its_paper_says():
    network = from_config(dict(model_type="resnet", num_labels=1000))
    assert network.parameters == 25_557_032
    assert network.free == ("B", "Ih", "Iw")
    assert network.forward(B=1, Ih=224, Iw=224) // 2 == 4_089_184_256


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (dict(model_type="resnet", hidden_sizes=[4, 8]), "one of each for each stage"),
        (dict(model_type="resnet", hidden_sizes=[4], depths=[0]), "of at least 1"),
        (dict(model_type="resnet", layer_type="wide"), 'layer_type = .wide.*known are "basic", "bottleneck"'),
        (dict(model_type="convnext", num_stages=3), "num_stages = 3, and has hidden_sizes and depths of 4"),
    ],
)
def test_what_is_not_understood_is_refused(config, words):
    with pytest.raises(ConfigError, match=words):
        from_config(config)
