"""Test a plan of a training run, worked out by hand for a small perceptron."""

import pytest
from sympy import ceiling

from flopbook.devices import DEVICES
from flopbook.predict import B, axis
from flopbook.predict.models import mlp
from flopbook.predict.optimizers import OPTIMIZERS
from flopbook.predict.plans import training_plan

SIZES = {"B": 7, "D": 5, "H": 3, "K": 2, "L": 3}
TRAINING = {"devices": 2, "utilization": 40, "peak": 50, "budget": 1000, "memory": 1000}
PLAN = training_plan("mlp", "A perceptron", mlp(), samples=B)


def value(title):
    _, expression = PLAN.rows[title]
    return expression.subs({axis(name): size for name, size in (SIZES | TRAINING).items()})


def test_the_device_with_the_most_samples_decides_the_time_of_a_step():
    products = 5 * 3 + 3 * 3 + 3 * 3 + 3 * 2  # of three hidden layers
    flops = 2 * 4 * products + 2 * 4 * (2 * products - 5 * 3)  # 4 of 7 samples; nobody needs the data's gradient
    assert value("Time of a step") == pytest.approx(flops / (50e9 * 0.4))


def test_a_sample_is_not_split_so_that_more_devices_than_samples_have_no_work():
    assert value("Devices with work") == 2
    assert PLAN.rows["Devices with work"][1].subs({B: 7, axis("devices"): 9}) == 7


def test_times_are_in_hours_and_device_hours():
    steps = ceiling(1000 / 7)
    assert value("Steps") == steps
    assert value("Time of all steps") * 3600 == steps * value("Time of a step")
    assert value("Devices × time") == 2 * value("Time of all steps")


def test_each_precision_stands_for_the_bytes_that_it_names():
    named = {
        "16 bits, with a float32 copy and moments": (2, 2, 2, 4, 4),
        "the same, gradients in float32": (2, 4, 2, 4, 4),
        "16 bits throughout": (2, 2, 2, 2, 0),
        "float32": (4, 4, 4, 4, 0),
    }
    kinds = ("parameters", "gradients", "activations", "moments", "master")
    assert PLAN.choices["Precision"] == {
        name: {f"bytes_{kind}": size for kind, size in zip(kinds, sizes, strict=True)} for name, sizes in named.items()
    }


def test_a_device_stands_for_its_peak_in_gflop_per_s_and_its_bytes_and_the_first_is_the_h100():
    devices = PLAN.choices["Device"]
    assert next(iter(devices)) == "H100 SXM, bf16"
    assert devices["H100 SXM, bf16"] == {"peak": 989_400, "memory": 80 * 10**9, "bandwidth": 3_350 * 10**9}
    assert devices["TPU v4, bf16"] == {"peak": 275_000, "memory": 32 * 2**30, "bandwidth": 1_200 * 10**9}


def test_what_a_device_holds_is_a_part_of_its_memory():
    assert value("Memory of a device") == value("All bytes") / 1000
    assert PLAN.rows["Memory of a device"][0] == "of memory"


def test_presets_come_first():
    plan = training_plan("mlp", "A perceptron", mlp(), samples=B, presets={"small": SIZES})
    assert next(iter(plan.choices)) == "Model"
    assert plan.choices["Model"] == {"small": SIZES}
    assert "Model" not in PLAN.choices


def test_a_plan_offers_the_usual_optimizers_and_every_device():
    assert set(PLAN.choices["Optimizer"]) < set(OPTIMIZERS)
    assert {name.partition(",")[0] for name in PLAN.choices["Device"]} == set(DEVICES)


def test_what_is_sharded_is_divided_among_the_devices_and_what_does_not_fit_is_said():
    precision = PLAN.choices["Precision"]["16 bits, with a float32 copy and moments"]
    sizes = SIZES | TRAINING | precision | PLAN.choices["Optimizer"]["AdamW"] | {"memory": 900}
    parameters = 5 * 3 + 3 + 2 * (3 * 3 + 3) + 3 * 2 + 2
    state = 12 * parameters + 4 * 8
    for name, (weights, gradients, moments) in {
        "none: each device holds all": (1, 1, 1),
        "ZeRO 1: optimizer state": (1, 1, 2),
        "ZeRO 2: gradients, too": (1, 2, 2),
        "ZeRO 3: parameters, too": (2, 2, 2),
    }.items():
        values = PLAN.at(**sizes, **PLAN.choices["Sharding"][name])
        assert values["Bytes of parameters"] == 2 * parameters // weights
        assert values["Bytes of gradients"] == 2 * parameters // gradients
        assert values["Bytes of optimizer state"] == state // moments
        assert values["Bytes that do not fit"] == max(0, values["All bytes"] - 900)
        assert (values["Bytes that do not fit"] > 0) == (name == "none: each device holds all")


def test_a_plan_names_the_sizes_that_it_lacks():
    with pytest.raises(ValueError, match="needs a size for B, D"):
        PLAN.at(H=3)


def test_an_update_takes_what_its_optimizer_says_for_each_parameter_and_each_tensor():
    adamw = PLAN.choices["Optimizer"]["AdamW"]
    parameters, tensors = 5 * 3 + 3 + 2 * (3 * 3 + 3) + 3 * 2 + 2, 8
    update = PLAN.rows["Update"][1].subs({axis(name): size for name, size in (SIZES | adamw).items()})
    assert update == adamw["update_flops"] * parameters + adamw["counters"] * tensors


def test_what_runs_again_and_what_the_loss_keeps_are_added_where_a_plan_is_told_of_them():
    plan = training_plan("mlp", "A perceptron", mlp(), samples=B, again=3 * B * axis("H"), loss=8 * B)
    sizes = SIZES | TRAINING | {letter.name: 1 for letter in _letters(plan)}
    more, plain = plan.at(**sizes | SIZES | TRAINING), PLAN.at(**sizes | SIZES | TRAINING)
    assert more.keys() - plain.keys() == {"Forward pass, run again"}
    assert more["Forward pass, run again"] == more["One step"] - plain["One step"] == 3 * 7 * 3
    assert more["Bytes of activations"] - plain["Bytes of activations"] == 8 * 4  # 4 of 7 samples


def _letters(plan):
    return {letter for _, expression in plan.rows.values() for letter in expression.free_symbols}


def test_a_word_of_a_preset_may_stand_for_0_and_a_letter_may_not():
    preset = {"D": 5, "parameters": 0, "tensors": 1}
    assert training_plan("mlp", "A perceptron", mlp(), samples=B, presets={"none": preset}).choices["Model"]
    with pytest.raises(ValueError, match="Da=0"):
        training_plan("mlp", "A perceptron", mlp(), samples=B, presets={"none": {"Da": 0}})
    with pytest.raises(TypeError, match="integer"):
        training_plan("mlp", "A perceptron", mlp(), samples=B, presets={"none": {"D": 5, "counters": 0.5}})


def test_a_calculator_keeps_flops_memory_and_time_in_sight():
    assert [PLAN.rows[title][0] for title in PLAN.watched] == ["FLOPs", "of memory", "hours"]
