"""Test a plan of a training run, worked out by hand for a small perceptron."""

from dataclasses import replace
from fractions import Fraction

import pytest
from sympy import Piecewise, ceiling, sqrt

from flopbook.devices import DEVICES
from flopbook.predict import B, axis
from flopbook.predict.models import mlp
from flopbook.predict.optimizers import OPTIMIZERS
from flopbook.predict.plans import Plan, training_plan

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
    assert list(PLAN.choices["Optimizer"]) == ["AdamW", "Adam", "SGD with momentum", "SGD"]
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


MESHED = training_plan(
    "mlp", "A perceptron", mlp(), samples=B, exchanged=10 * B * axis("H"), loss=8 * B, again=3 * B * axis("H")
)
MESH = {"devices": 50, "tensor": 2, "context": 3, "pipeline": 4, "micro_batches": 3}
BYTES = {"bytes_parameters": 2, "bytes_gradients": 4, "bytes_activations": 2, "bytes_moments": 4, "bytes_master": 0}
GIVEN = SIZES | TRAINING | BYTES | PLAN.choices["Optimizer"]["AdamW"] | MESH
PARAMETERS = 5 * 3 + 3 + 2 * (3 * 3 + 3) + 3 * 2 + 2


class TestMesh:
    """Two devices share a layer, three a sequence and four the layers; of 50 devices, 48 hold two such copies."""

    def at(self, sharding="none: each device holds all", **sizes):
        return MESHED.at(**GIVEN | MESHED.choices["Sharding"][sharding] | sizes)

    def test_whole_copies_have_work_and_all_other_devices_none(self):
        rows = self.at()
        assert (rows["Copies of the model"], rows["Devices with work"]) == (2, 48)
        assert rows["Devices that the mesh lacks"] == 0
        assert self.at(B=1)["Devices with work"] == 24
        few = self.at(devices=21)
        assert (few["Copies of the model"], few["Devices that the mesh lacks"]) == (1, 3)

    def test_products_of_the_larger_share_of_a_batch_are_shared_and_wait_for_the_pipeline(self):
        rows, products = self.at(), 5 * 3 + 3 * 3 + 3 * 3 + 3 * 2
        passes = 2 * 4 * products + 2 * 4 * (2 * products - 5 * 3)  # four of seven samples
        assert rows["Products of a device in a step"] == -(-(passes + 3 * 4 * 3) // 24)
        assert rows["Bubble of the pipeline"] == 50  # three of six turns
        assert rows["Time of a step"] == pytest.approx(passes / 24 / (50e9 * 0.4) / 0.5)
        assert self.at(micro_batches=9)["Bubble of the pipeline"] == pytest.approx(300 / 7)  # four samples, four passes

    def test_a_device_keeps_of_three_samples_in_four_stages_three_quarters(self):
        no_mesh = PLAN.choices["Sharding"]["none: each device holds all"] | {"B": 2, "devices": 1}
        whole = PLAN.at(**GIVEN | no_mesh)["Bytes of activations"]  # of a micro-batch
        assert self.at()["Bytes of activations"] == -(-whole * 3 // (4 * 6)) + -(-8 * 2 // 6)

    @pytest.mark.parametrize(
        ("sharding", "parameters", "gradients", "optimizer", "sends"),
        [
            ("none: each device holds all", 1, 1, 1, 2 * 4),
            ("ZeRO 1: optimizer state", 1, 1, 6, 4 + 2),
            ("ZeRO 2: gradients, too", 1, 6, 6, 4 + 2),
            ("ZeRO 3: parameters, too", 6, 6, 6, 4 + 2 + 2),
        ],
    )
    def test_six_devices_that_hold_the_same_may_share_it(self, sharding, parameters, gradients, optimizer, sends):
        rows, whole = self.at(sharding), PARAMETERS
        assert rows["Bytes of parameters"] == -(-2 * whole // (8 * parameters))
        assert rows["Bytes of gradients"] == -(-4 * whole // (8 * gradients))
        assert rows["Bytes of optimizer state"] == -(-(8 * whole + 4 * 8) // (8 * optimizer))
        assert rows["Bytes sent for gradients and parameters"] == -(-sends * whole * 5 // (8 * 6))

    def test_tensor_devices_exchange_their_share_of_the_larger_share(self):
        assert self.at()["Bytes sent between the parts of a layer"] == 2 * 10 * 4 * 3 // (3 * 4) // 2
        assert self.at(tensor=1)["Bytes sent between the parts of a layer"] == 0

    def test_only_a_plan_that_is_told_what_is_exchanged_has_a_mesh(self):
        more = {title for title in MESHED.rows if title not in PLAN.rows}
        assert more == {
            "Forward pass, run again", "Copies of the model", "Devices that the mesh lacks",
            "Products of a device in a step", "Bubble of the pipeline", "Bytes sent for gradients and parameters",
            "Bytes sent between the parts of a layer",
        }  # fmt: skip
        assert {letter.name for letter in _letters(MESHED) - _letters(PLAN)} == set(MESH) - {"devices"}


def test_a_plan_names_the_sizes_that_it_lacks():
    with pytest.raises(ValueError, match="needs a size for B, D"):
        PLAN.at(H=3)


def test_a_row_may_choose_among_cases_and_take_a_root():
    rows = axis("rows")
    half = Piecewise((rows / 2, rows > 3), (0, True))
    plan = Plan("rows", "Rows", {"Half": ("", half), "Root": ("", sqrt(rows))}, {})
    assert plan.at(rows=9) == {"Half": Fraction(9, 2), "Root": 3}
    assert plan.at(rows=1) == {"Half": 0, "Root": 1}


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


def test_parameters_that_a_token_meets_are_told_apart_where_it_does_not_meet_all():
    assert "Parameters that a token meets" not in PLAN.rows
    sparse = replace(mlp(), active=7 * axis("H"))
    plan = training_plan("mlp", "A perceptron", sparse, samples=B)
    assert plan.rows["Parameters that a token meets"] == ("", 7 * axis("H"))
    assert plan.rows["Parameters"] == PLAN.rows["Parameters"]


def test_a_calculator_keeps_flops_memory_and_time_in_sight():
    assert [PLAN.rows[title][0] for title in PLAN.watched] == ["FLOPs", "of memory", "hours"]


def test_words_stand_upright_in_the_formulas_of_a_plan():
    plan = PLAN._repr_mimebundle_()
    typeset = {title: latex for title, _, latex in plan["application/vnd.flopbook.plan+json"]["rows"]}
    assert typeset["Steps"] == r"\left\lceil{\frac{\text{budget}}{B}}\right\rceil"
    assert r"D\,H\,\text{bytes}_{\text{parameters}}" in typeset["Bytes of parameters"]
