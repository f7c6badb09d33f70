"""Hold transformers with windows on images to the library: parameters, forward and backward pass, to the last one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.published import from_config
from flopbook.published.config import ConfigError
from flopbook.published.in_library.witness import witness
from tests.support.published import assert_agrees, assert_no_effect, defaults, on_paper

SMALL = dict(image_size=60, patch_size=4, embed_dim=12, depths=[1, 2], num_heads=[2, 3], window_size=3, num_labels=5)


def test_the_librarys_defaults_are_read_to_the_last_key():
    config = defaults("swin", **SMALL)
    assert_agrees(config, B=2)
    assert_no_effect(config, B=2)


def test_a_key_of_published_files_that_the_library_does_not_know_is_understood():
    config = dict(model_type="swin", **SMALL)
    assert from_config(config | dict(path_norm=True)).parameters == from_config(config).parameters


def test_keys_that_are_left_out_have_the_librarys_defaults():
    assert_agrees(dict(model_type="swin"), B=1)


@st.composite
def swins(draw):
    number = draw(st.integers(1, 3))
    heads = draw(st.lists(st.sampled_from([1, 2, 3, 6]), min_size=number, max_size=number))
    return dict(
        model_type="swin", depths=draw(st.lists(st.integers(1, 3), min_size=number, max_size=number)), num_heads=heads,
        embed_dim=6 * draw(st.integers(1, 3)), window_size=draw(st.integers(1, 4)), mlp_ratio=draw(st.floats(0.5, 5)),
        image_size=draw(st.lists(st.integers(40, 90), min_size=2, max_size=2)), patch_size=draw(st.integers(1, 3)),
        qkv_bias=draw(st.booleans()), num_labels=draw(st.integers(0, 5)), num_channels=draw(st.integers(1, 4)),
    )  # fmt: skip


@settings(max_examples=4, deadline=None)
@given(swins(), st.integers(1, 3))
def test_any_swin_agrees(config, B):
    assert_agrees(config, B=B)


def test_a_wrong_size_is_noticed():
    config = dict(model_type="swin", **SMALL)
    assert on_paper(config | dict(window_size=4), B=2) != witness(config, B=2)


def test_shifted_windows_leave_the_pairs_that_the_librarys_mask_leaves():
    network = from_config(dict(model_type="swin", **SMALL))
    places, windows, wide = 9, 3, 4  # the second stage is 8 x 8, filled up to 9 x 9; a head is 8 wide
    side = [0] * (places - 3) + [1] * 2 + [2]  # which part of its row a place belongs to, after a shift by 1
    part = [[(side[y], side[x]) for x in range(places)] for y in range(places)]
    inside = [(y, x) for y in range(3) for x in range(3)]
    met = sum(
        part[3 * row + y][3 * column + x] == part[3 * row + v][3 * column + u]
        for row in range(windows) for column in range(windows) for y, x in inside for v, u in inside
    )  # fmt: skip
    fewer = windows**2 * 81 - met
    assert network.step(B=2) - network.step(B=2, needed=True) == 2 * 3 * wide * 3 * 8 * fewer


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (dict(mlp_ratio="4"), "mlp_ratio = '4': give a number"),
        (dict(depths=[1]), "one of each for each stage"),
        (dict(window_size=9), "windows of 9 and, in stage 2, an image of 8 x 8 places"),
        (dict(num_heads=[2, 5]), "shares 24 channels among 5 heads"),
        (dict(use_absolute_embeddings=True, image_size=61), "give an image_size that they fill"),
    ],
)
def test_what_is_not_understood_is_refused(config, words):
    with pytest.raises(ConfigError, match=words):
        from_config(dict(model_type="swin", **SMALL) | config)
