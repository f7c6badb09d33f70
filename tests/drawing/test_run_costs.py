"""Test the picture of a training run: the numbers of the plan, and whether it fits."""

from functools import cache

import pytest

from flopbook.devices import DEVICES
from flopbook.drawing import training_run
from flopbook.predict import B, T
from flopbook.predict.models import PUBLISHED, decoder
from flopbook.predict.plans import training_plan
from flopbook.predict.values import value_at
from flopbook.units import si

MODELS = {name: PUBLISHED[name] for name in ("GPT-2 small", "Llama 3 8B")}
SIZES = dict(B=512, budget=15 * 10**12, utilization=40)
DEVICE_CHOICES = [(7, "H100 SXM, bf16"), (512, "B200 HGX, bf16"), (1000, "TPU v5e, bf16")]
CHOICES = dict(T=[1000, 8192], optimizer=["AdamW", "SGD"], precision=["16 bits throughout", "float32"], price=[0, 3])


@cache
def plan():
    """Plan a run without a picture."""
    return training_plan("decoder", "A decoder", decoder(), samples=B * T, presets=MODELS)


@pytest.fixture(scope="module")
def picture():
    return training_run(MODELS, SIZES, DEVICE_CHOICES, CHOICES)


def sizes_of(state):
    number, _, device = state["devices"].partition(" × ")
    sizes = MODELS[state["model"]] | SIZES | dict(T=state["T"], devices=int(number.replace(",", "")))
    for label, name in ("Optimizer", state["optimizer"]), ("Precision", state["precision"]), ("Device", device):
        sizes |= plan().choices[label][name]
    return sizes | plan().choices["Sharding"]["none: each device holds all"]


def test_every_number_is_that_of_the_plan(picture, states):
    for state, frame in states(picture):
        sizes = sizes_of(state)
        shown = {name.removesuffix(", FLOPs"): text for name, text in frame.table.rows}
        for title in set(plan().rows) & set(shown) - {"Time of all steps", "Devices × time"}:
            assert shown[title] == f"{int(value_at(plan().rows[title][1], sizes)):,}"
        device_hours = value_at(plan().rows["Devices × time"][1], sizes)
        assert shown["Devices × time"] == f"{float(device_hours):,.0f} device-hours"
        if state["price"]:
            assert f"cost ${float(3 * device_hours):,.0f}." in frame.sentence


def test_parts_of_the_bars_are_all_of_it(picture, states):
    for state, frame in states(picture):
        shares = [float(shape.partition("%</text>")[0].rpartition(">")[2]) for shape in frame.shapes if "%<" in shape]
        assert len(shares) == 4
        assert sum(shares) == pytest.approx(100, abs=0.21)
        sizes = sizes_of(state)
        products = value_at(decoder().forward + decoder().backward, sizes)
        attention = 12 * sizes["B"] * sizes["T"] ** 2 * sizes["L"] * sizes["H"] * sizes["E"]
        assert shares[0] == pytest.approx(100 * attention / products, abs=0.051)


def test_a_run_fits_where_its_bytes_are_no_more_than_the_device_has(picture, states):
    fits = set()
    for state, frame in states(picture):
        total = value_at(plan().rows["All bytes"][1], sizes_of(state))
        capacity = DEVICES[state["devices"].partition(" × ")[2].removesuffix(", bf16")].memory_bytes
        assert frame.sentence.startswith("It fits" if total <= capacity else "It does not fit")
        assert f"{si(int(total), 'B')} of {si(capacity, 'B')}" in "".join(frame.shapes)
        fits.add(total <= capacity)
    assert fits == {True, False}


def test_devices_without_work_are_named(picture):
    said = picture.frame(devices="1,000 × TPU v5e, bf16").sentence
    assert "Only 512 devices have work" in said
    assert "Only" not in picture.frame(devices="512 × B200 HGX, bf16").sentence


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(devices=[(8, "H100")]), "device='H100' is not known"),
        (dict(sizes=dict(B=1, budget=1)), "sizes has no utilization"),
        (dict(choices=dict(optimiser=["AdamW"])), "choice='optimiser' is not known; did you mean 'optimizer'"),
        (dict(choices=dict(optimizer=["adamw", "SGD"])), "optimizer='adamw' is not known; did you mean 'AdamW'"),
    ],
)
def test_what_is_not_known_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        training_run(**(dict(models=MODELS, sizes=SIZES, devices=DEVICE_CHOICES) | change))
