"""Test that a meter counts a step once for each shape, and later times it."""

from dataclasses import dataclass
from weakref import ref

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from flopbook.measure import FlopMeter
from flopbook.measure import meter as meter_module
from flopbook.units import si
from tests.support.tensors import LowRank

B, D, K = 7, 5, 3
STEP = 2 * 2 * B * D * K  # forward and the weight's gradient


@pytest.fixture
def train():
    layer = nn.Linear(D, K)
    return lambda x: layer(x).sum().backward()


def test_every_step_adds_its_flops(train):
    meter = FlopMeter()
    for x in torch.ones(4, B, D):
        with meter(x):
            train(x)
    assert (meter.steps, meter.flops) == (4, 4 * STEP)
    assert meter.flop_per_s > 0


def test_another_shape_is_counted_anew(train):
    meter = FlopMeter()
    for length in (B, B, 2 * B, B):
        x = torch.ones(length, D)
        with meter(x):
            train(x)
    assert (meter.steps, meter.flops) == (4, 5 * STEP)
    assert meter.count.total == STEP


def test_anything_that_the_flops_depend_on_is_a_key(train):
    meter, x = FlopMeter(), torch.ones(B, D)
    for needed in (False, True, True):
        with meter(x, needed):
            train(x.requires_grad_(needed))
            x = x.detach()
    assert meter.flops == 3 * STEP + 2 * (STEP // 2)


def test_data_that_needs_a_gradient_is_counted_anew(train):
    meter = FlopMeter()
    for needed in (False, True, True):
        x = torch.ones(B, D, requires_grad=needed)
        with meter(x):
            train(x)
    assert meter.flops == 3 * STEP + 2 * (STEP // 2)


def test_an_evaluation_of_the_same_shape_is_counted_anew(train):
    meter, layer, x = FlopMeter(), nn.Linear(D, K), torch.ones(B, D)
    with meter(x):
        train(x)
    with torch.no_grad():
        for _ in range(2):
            with meter(x):
                layer(x)
    assert meter.flops == STEP + 2 * (STEP // 2)


def test_a_sparse_matrix_that_stores_more_is_counted_anew():
    meter = FlopMeter()
    for stored in (2, 5):
        matrix = (torch.arange(9.0).reshape(3, 3) < stored).float().to_sparse()
        with meter(matrix):
            torch.sparse.mm(matrix, torch.ones(3, K))
    assert meter.flops == 2 * (2 + 5) * K


@pytest.fixture
def clock(monkeypatch):
    """Replace the clock by one that gains a quarter of a second at each reading."""
    ticks = iter(i / 4 for i in range(1000))
    monkeypatch.setattr(meter_module, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(meter_module, "now", lambda: next(ticks))


def test_rates_are_those_of_the_steps_that_were_only_timed(train, clock):
    meter, x = FlopMeter(peak_flop_per_s=1e6), torch.ones(B, D)
    with meter(x):
        train(x)
    assert (meter.flop_per_s, meter.mfu, meter.hfu) == (None, None, None)
    for _ in range(2):
        with meter(x):
            train(x)
    assert meter.flop_per_s == 4 * STEP
    assert meter.mfu == meter.hfu == 4 * STEP / 1e6
    assert repr(meter) == f"<3 steps, {si(3 * STEP, 'FLOPs')} at {si(4 * STEP, 'FLOP/s')}, MFU 0.2% of 1.00 MFLOP/s>"


def test_mfu_leaves_out_what_a_checkpoint_runs_again_and_hfu_does_not(clock):
    layer = nn.Sequential(nn.Linear(D, D), nn.Linear(D, K))
    meter, x = FlopMeter(peak_flop_per_s=1e6), torch.ones(B, D, requires_grad=True)
    for _ in range(2):
        with meter(x):
            checkpoint(layer, x, use_reentrant=True).sum().backward()
    forward = 2 * B * (D * D + D * K)
    assert meter.mfu == 4 * 3 * forward / 1e6
    assert meter.hfu == 4 * 4 * forward / 1e6


def test_mfu_leaves_out_the_scores_that_a_fused_kernel_makes_again(clock):
    """Fused or not, the model is the same: two products forward, four backward. The fused kernel runs seven."""
    meter = FlopMeter(peak_flop_per_s=1e6)
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH):
        for _ in range(2):
            heads = torch.ones(1, 2, 4, 8, requires_grad=True)
            with sdpa_kernel(backend), meter(heads, backend):
                scaled_dot_product_attention(heads, heads, heads).sum().backward()
        product = 2 * 2 * 4 * 4 * 8
        assert meter.mfu == 4 * 6 * product / 1e6
    assert meter.hfu == 4 * 6.5 * product / 1e6


def test_without_a_step_that_was_timed_or_a_peak_there_is_no_hfu(train):
    meter, x = FlopMeter(), torch.ones(B, D)
    for _ in range(2):
        with meter(x):
            train(x)
    assert meter.hfu is None


class Batch:
    """As loaders make them: an object with tensors, equal to itself alone."""

    def __init__(self, length):
        self.x, self.names = torch.ones(length, D), ["one", "two"]


@dataclass(frozen=True)
class Pair:
    x: torch.Tensor
    name: str


@pytest.mark.parametrize("make", [Batch, lambda length: Pair(torch.ones(length, D), "x")])
def test_batches_differ_by_the_shapes_that_they_hold(train, make):
    meter = FlopMeter()
    for length in (B, B, 2 * B, B):
        batch = make(length)
        with meter(batch):
            train(torch.ones(length, D))
    assert (len(meter._known), meter.flops) == (2, 5 * STEP)


def test_no_batch_is_kept(train):
    meter, batch = FlopMeter(), Batch(B)
    gone = ref(batch), ref(batch.x)
    with meter(batch, batch.x.numpy()):
        train(batch.x)
    del batch
    assert [kept() for kept in gone] == [None, None]


def test_a_model_is_compared_by_identity_and_not_kept():
    meter, x = FlopMeter(), torch.ones(B, D)
    models = [nn.Linear(D, K), nn.Linear(D, D)]
    for model in (*models, models[0]):
        with meter(x, model):
            model(x)
    assert meter.flops == 2 * B * D * (K + D + K)
    assert len(meter._known) == 2


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_sequences_differ_by_their_lengths(layout):
    meter = FlopMeter()
    for lengths in ((2, 5), (2, 5), (3, 4), (2, 5)):
        sequences = torch.nested.nested_tensor([torch.ones(n, D) for n in lengths], layout=layout)
        with meter(sequences):
            pass
    assert len(meter._known) == 2


def test_tensors_that_hold_others_differ_by_those(train):
    meter = FlopMeter()
    for rank in (2, 2, 3):
        with meter(LowRank(torch.ones(D, rank), torch.ones(rank, K))):
            pass
    assert len(meter._known) == 2


def test_steps_that_are_never_alike_give_one_warning(train):
    meter = FlopMeter()
    with pytest.warns(UserWarning) as caught:
        for number in range(30):
            with meter(torch.ones(B, D), number):
                train(torch.ones(B, D))
    assert [str(warning.message) for warning in caught] == [
        "no two of 20 steps had inputs of the same shapes, so each was counted and none timed: "
        "give the meter only what the FLOPs depend on, such as with meter(x):"
    ]
    assert caught[0].filename == __file__


def test_without_a_peak_there_is_no_utilization(train):
    meter, x = FlopMeter(), torch.ones(B, D)
    for _ in range(2):
        with meter(x):
            train(x)
    assert meter.mfu is None


def test_a_step_that_fails_is_not_metered(train):
    meter, x = FlopMeter(), torch.ones(B, D)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), meter(x):
            train(x)
            _ = 1 / 0
    assert (meter.steps, meter.flops) == (0, 0)


def test_it_prints_steps_and_flops(train):
    meter, x = FlopMeter(), torch.ones(B, D)
    with meter(x):
        train(x)
    assert repr(meter) == f"<1 step, {STEP} FLOPs>"


@pytest.mark.parametrize("peak", [0, -1.0, float("nan"), float("inf"), True, "1e12"])
def test_a_peak_is_a_positive_number(peak):
    with pytest.raises(ValueError) as error:
        FlopMeter(peak)
    assert str(error.value) == f"peak_flop_per_s={peak!r} is not a peak: write a positive number of FLOP/s"


def test_a_data_sheet_says_the_peak():
    assert FlopMeter(device="H100 SXM", dtype="bf16").peak_flop_per_s == 989.4e12
    assert FlopMeter(device="H100 SXM", dtype=torch.bfloat16).peak_flop_per_s == 989.4e12
    assert FlopMeter(device="H100 SXM", dtype=torch.float32).peak_flop_per_s == 66.9e12
    assert FlopMeter(device="H100 SXM", dtype="tf32").peak_flop_per_s == 494.7e12


def test_the_accelerator_that_is_here_says_its_peak(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA A100-SXM4-80GB")
    assert FlopMeter(dtype="bf16").peak_flop_per_s == 312e12


def test_without_an_accelerator_a_meter_says_what_to_give(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"^there is no accelerator here .*: write device='H100 SXM', or another$"):
        FlopMeter(dtype="bf16")


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (dict(device="H100", dtype="bf16"), ValueError, "device='H100' is not a device .* did you mean 'H100 SXM'"),
        (
            dict(device="H100 SXM", dtype="fp12"),
            ValueError,
            "dtype='fp12' has no peak on the data sheet of",
        ),
        (dict(device="H100 SXM", dtype=torch.float64), ValueError, "dtype='fp64' has no peak"),
        (dict(device="H100 SXM"), TypeError, "device='H100 SXM' has a peak for each format: write dtype='bf16'"),
        (dict(peak_flop_per_s=1e12, device="H100 SXM"), TypeError, "both a peak and a device are given"),
        (dict(peak_flop_per_s=1e12, dtype="bf16"), TypeError, "both a peak and a device are given"),
    ],
)
def test_a_peak_that_no_data_sheet_says_is_refused(given, error, said):
    with pytest.raises(error, match=said):
        FlopMeter(**given)


def test_inputs_may_come_in_lists_and_dictionaries(train):
    meter = FlopMeter()
    for length in (B, B, 2 * B):
        batch = {"x": torch.ones(length, D), "others": [torch.ones(length), None]}
        with meter(batch):
            train(batch["x"])
    assert (meter.steps, meter.flops) == (3, 4 * STEP)
    with meter({"y": torch.ones(B, D)}):
        pass
    assert meter.flops == 4 * STEP


@pytest.mark.parametrize("wrong", [{1, 2}, bytearray(b"x"), object()])
def test_an_input_that_tells_nothing(wrong):
    meter = FlopMeter()
    with pytest.raises(TypeError) as error, meter([wrong]):
        pass
    assert str(error.value) == f"{wrong!r} is not an input to know a step by: give tensors, numbers or text"
    assert meter.steps == 0


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = x


class AllEqual(Slotted):
    def __eq__(self, other):
        return isinstance(other, AllEqual)

    def __hash__(self):
        return 1


@pytest.mark.parametrize("kind", [Slotted, AllEqual, lambda x: frozenset([x])])
def test_what_holds_tensors_is_told_by_their_shapes_and_let_go(train, kind):
    meter, held = FlopMeter(), []
    for length in (B, B, 2 * B):
        x = torch.ones(length, D)
        held.append(ref(x))
        with meter(kind(x)):
            train(x)
        del x
    assert meter.flops == 4 * STEP
    assert not any(tensor() is not None for tensor in held)


def test_an_input_that_holds_itself_is_refused():
    endless = {}
    endless["again"] = endless
    with pytest.raises(TypeError) as error, FlopMeter()(endless):
        pass
    assert str(error.value) == "an input holds itself, in some depth: give tensors, numbers or text"


def test_a_meter_without_inputs():
    with pytest.raises(TypeError) as error, FlopMeter():
        pass
    assert str(error.value) == "a meter tells steps apart by their inputs: write with meter(x): ..."
