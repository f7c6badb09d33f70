"""Test pointwise arithmetic: operations for each element, by operator."""

import pytest
import torch
from torch import nn, ones
from torch.nn import functional

X = torch.linspace(-1, 1, 24).reshape(4, 6)
N = X.numel()
IMAGE = torch.linspace(0, 1, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
TARGETS = torch.tensor([0, 1, 2, 3])
ROWS = TARGETS[:, None].expand(4, 6)
POINTS = torch.zeros(2, 1, 5, 2)

OPERATIONS = {
    "add": (lambda: X + X, N),
    "add a number": (lambda: X + 1, N),
    "add scaled": (lambda: torch.add(X, X, alpha=2), 2 * N),
    "add in place": (lambda: X.clone().add_(X), N),
    "add into": (lambda: torch.add(X, X, out=torch.empty(4, 6)), N),
    "add that broadcasts": (lambda: X + ones(5, 1, 1), 5 * N),
    "absolute value in place": (lambda: X.clone().abs_(), N),
    "compare in place": (lambda: X.clone().gt_(0), N),
    "multiply": (lambda: X * X, N),
    "divide": (lambda: X / 2, N),
    "negate": (lambda: -X, N),
    "exponential": (X.exp, N),
    "sine": (X.sin, N),
    "relu": (lambda: functional.relu(X), N),
    "silu": (lambda: functional.silu(X), N),
    "gelu": (lambda: functional.gelu(X), N),
    "leaky relu": (lambda: functional.leaky_relu(X), N),
    "lerp": (lambda: torch.lerp(X, X, 0.5), 3 * N),
    "addcmul": (lambda: torch.addcmul(X, X, X), 2 * N),
    "addcmul scaled": (lambda: torch.addcmul(X, X, X, value=2), 3 * N),
    "sum": (X.sum, N),
    "sum over an axis": (lambda: X.sum(0), N),
    "mean": (X.mean, N),
    "norm": (lambda: torch.linalg.vector_norm(X), 2 * N),
    "variance": (X.var, 4 * N),
    "maximum": (X.amax, N),
    "sort": (X.sort, N),
    "largest two": (lambda: X.topk(2), N),
    "median": (X.median, N),
    "third smallest": (lambda: X.kthvalue(3), N),
    "cumulative sum": (lambda: X.cumsum(0), N),
    "softmax": (lambda: X.softmax(1), 5 * N),
    "log softmax": (lambda: X.log_softmax(1), 5 * N),
    "mean squared error": (lambda: functional.mse_loss(X, X), 3 * N),
    "cross entropy": (lambda: functional.cross_entropy(X, TARGETS), 5 * N + 4),
    "dropout": (lambda: functional.dropout(X, 0.5), 2 * N),
    "layer norm": (lambda: functional.layer_norm(X, (6,)), 4 * N),
    "layer norm with weight": (lambda: functional.layer_norm(X, (6,), ones(6), ones(6)), 5 * N),
    "fused rms norm": (torch.inference_mode()(lambda: functional.rms_norm(X, (6,))), 3 * N),
    "fused rms norm with weight": (torch.inference_mode()(lambda: functional.rms_norm(X, (6,), ones(6))), 4 * N),
    "group norm with weight": (lambda: functional.group_norm(IMAGE, 3, ones(3), ones(3)), 5 * 96),
    "batch norm in training": (lambda: nn.BatchNorm1d(6)(X), 5 * N),
    "batch norm in evaluation": (lambda: nn.BatchNorm1d(6).eval()(X), 2 * N),
    "batch norm in evaluation without weight": (lambda: functional.batch_norm(X, torch.zeros(6), ones(6)), N),
    "batch norm that is always in evaluation": (
        lambda: torch.ops.aten._native_batch_norm_legit_no_training(X, ones(6), ones(6), ones(6), ones(6), 0.1, 1e-5),
        2 * N,
    ),
    "batch norm that is always in evaluation without weight": (
        lambda: torch.ops.aten._native_batch_norm_legit_no_training(X, None, None, ones(6), ones(6), 0.1, 1e-5),
        N,
    ),
    "average pool": (lambda: functional.avg_pool2d(IMAGE, 2), 96),
    "largest of a window": (lambda: functional.max_pool2d(IMAGE, 2), 96),
    "bias of a convolution": (lambda: functional.conv2d(IMAGE, ones(5, 3, 3, 3), ones(5)), 2 * 5 * 2 * 2),
    "convolution without bias": (lambda: functional.conv2d(IMAGE, ones(5, 3, 3, 3)), 0),
    "distances": (lambda: torch.cdist(X, X), 3 * 4 * 4 * 6),
    "distances within a set": (lambda: functional.pdist(X), 3 * 6 * 6),
    "distance": (lambda: torch.dist(X, X), 3 * N),
    "renormalize": (lambda: X.renorm(2, 0, 1.0), 3 * N),
    "trace": (X.trace, 4),
    "trace of integers": (X.long().trace, 0),
    "cross product": (lambda: torch.linalg.cross(X[:, :3], X[:, 3:]), 3 * 12),
    "divide and round": (lambda: X // 2, N),
    "largest of a window at random": (lambda: functional.fractional_max_pool2d(IMAGE, 2, 3), 2 * 3 * 9 * 4),
    "interpolate at points": (lambda: functional.grid_sample(IMAGE, POINTS, align_corners=True), 2 * 3 * 5 * 7),
    "nearest at points": (lambda: functional.grid_sample(IMAGE, POINTS, "nearest", align_corners=True), 0),
    "interpolate in three dimensions": (
        lambda: functional.grid_sample(IMAGE[None], torch.zeros(1, 1, 2, 5, 3), align_corners=True),
        2 * 10 * 15,
    ),
    "scattered sum": (lambda: torch.zeros(4, 6).index_add(0, TARGETS, X), N),
    "scatter and multiply": (lambda: torch.zeros(4, 6).scatter(0, ROWS, 2.0, reduce="multiply"), N),
    "put and add flat": (lambda: torch.zeros(4, 6).put_(TARGETS, ones(4), accumulate=True), 4),
    "put and add": (lambda: torch.zeros(4, 6).index_put((TARGETS,), X, accumulate=True), N),
    "all elements of a list": (lambda: torch._foreach_mul([X, X], 2.0), 2 * N),
    "all elements of a list, in place": (lambda: torch._foreach_mul_([X.clone(), X.clone()], 2.0), 2 * N),
}

MOVEMENT = {
    "view": lambda: X.view(6, 4),
    "turn": X.T.contiguous,
    "turn in place": lambda: X.clone().t_(),
    "insert an axis in place": lambda: X.clone().unsqueeze_(0).squeeze_(0),
    "copy": lambda: X.clone().copy_(X),
    "another precision": lambda: X.to(torch.bfloat16),
    "join": lambda: torch.cat([X, X]),
    "split": lambda: X.split(2),
    "gather": lambda: X[TARGETS],
    "look up": lambda: functional.embedding(TARGETS, X),
    "put": lambda: torch.zeros(4, 6).index_put((TARGETS,), X),
    "put flat": lambda: torch.zeros(4, 6).put_(TARGETS, ones(4)),
    "take": lambda: X.take(TARGETS),
    "scatter": lambda: torch.zeros(4, 6).scatter(0, ROWS, X),
    "blocks": lambda: torch.block_diag(X, X),
    "pad": lambda: functional.pad(X, (1, 1)),
    "mask": lambda: X.masked_fill(X > 0, 0),
    "triangle": X.tril,
    "choose": lambda: torch.where(X > 0, X, X),
    "zeros": lambda: torch.zeros(4, 6),
    "triangle in place": lambda: X.clone().tril_(),
    "diagonal": lambda: torch.diag(X),
    "copy of a view": lambda: torch.narrow_copy(X, 0, 0, 2),
    "random numbers": lambda: torch.randn(4, 6),
    "each number once": X.unique,
    "each row once": lambda: X.unique(dim=0),
    "sparse diagonals": lambda: torch.sparse.spdiags(X, torch.arange(len(X)), (4, 4)),
}

NO_FLOATING_POINT = {
    "compare": lambda: X > 0,
    "count": (X > 0).sum,
    "add integers": lambda: TARGETS + TARGETS,
    "index of the largest": X.argmax,
}


@pytest.mark.parametrize(("step", "operations"), OPERATIONS.values(), ids=OPERATIONS)
def test_operations(count, step, operations):
    assert count(step).pointwise["forward"] == operations


def needing(tensor):
    return tensor.clone().requires_grad_()


BACKWARD = {
    "look up": (lambda: functional.embedding(TARGETS[:3], needing(X)), 3 * 6),
    "overlapping windows": (lambda: needing(X).unfold(1, 2, 1), 4 * 5 * 2),
    "interpolate at points": (lambda: functional.grid_sample(needing(IMAGE), POINTS, align_corners=True), 30 * 8),
    "interpolate at points that move": (
        lambda: functional.grid_sample(needing(IMAGE), needing(POINTS), align_corners=True),
        30 * (8 + 16),
    ),
    "nearest at points": (lambda: functional.grid_sample(needing(IMAGE), POINTS, "nearest", align_corners=True), 30),
}


@pytest.mark.parametrize(("step", "operations"), BACKWARD.values(), ids=BACKWARD)
def test_operations_backward(count, step, operations):
    assert count(lambda: step().sum().backward()).pointwise["backward"] == operations


def test_cross_entropy_of_an_image(count):
    """A softmax and its gradient, and one operation for each place; the mean of them takes no pass of its own."""
    labels = torch.zeros(2, 4, 4, dtype=torch.int64)
    counted = count(lambda: functional.cross_entropy(needing(IMAGE), labels).backward())
    assert (counted.pointwise["forward"], counted.pointwise["backward"]) == (5 * 96 + 32, 4 * 96 + 32)


TRANSCENDENTAL = {
    "exponential": (X.exp, N),
    "in place": (lambda: X.clone().exp_(), N),
    "of a list": (lambda: torch._foreach_exp([X, X]), 2 * N),
    "of a list, in place": (lambda: torch._foreach_sqrt_([X.clone(), X.clone()]), 2 * N),
    "gelu": (lambda: functional.gelu(X), N),
    "silu": (lambda: functional.silu(X), N),
    "sigmoid": (X.sigmoid, N),
    "root": (X.abs().sqrt, N),
    "softmax": (lambda: X.softmax(1), N),
    "binary cross entropy": (lambda: functional.binary_cross_entropy(X.sigmoid(), X.sigmoid()), N + N + 2 * N),
    "power": (lambda: X**0.3, N),
    "power of a tensor": (lambda: torch.pow(2.0, X), N),
    "square": (X.square, 0),
    "cube": (lambda: X**3, 0),
    "reciprocal": (lambda: 1 / X, 0),
    "relu": (X.relu, 0),
    "norm": (lambda: functional.layer_norm(X, (6,)), 0),
    "sum": (X.sum, 0),
    "of indices": (lambda: TARGETS + 1, 0),
}


@pytest.mark.parametrize(("step", "functions"), TRANSCENDENTAL.values(), ids=TRANSCENDENTAL)
def test_exponentials_and_the_like_are_a_part_of_pointwise_arithmetic(count, step, functions):
    counted = count(step)
    assert counted.transcendental["forward"] == functions <= counted.pointwise["forward"]


C = torch.ones(4, 6, dtype=torch.complex64)
COMPLEX = {
    "add": (lambda: C + C, 2 * N),
    "multiply": (lambda: C * C, 6 * N),
    "multiply in place": (lambda: C.clone().mul_(C), 6 * N),
    "multiply a list in place": (lambda: torch._foreach_mul_([C.clone()], 2.0), 6 * N),
    "multiply by a real number": (lambda: C * 2, 6 * N),
    "divide": (lambda: C / C, 11 * N),
    "exponential": (C.exp, 2 * N),
    "sum": (C.sum, 2 * N),
    "absolute value": (C.abs, 4 * N),
    "conjugate": (lambda: C.conj().clone(), 0),
    "real part": (C.real.clone, 0),
}


@pytest.mark.parametrize(("step", "operations"), COMPLEX.values(), ids=COMPLEX)
def test_a_complex_number_is_two(count, step, operations):
    assert count(step).pointwise["forward"] == operations


COMPARISONS = {
    "largest of all": (X.max, N),
    "largest of each row": (lambda: X.max(1), N),
    "larger of two": (lambda: torch.maximum(X, X), N),
    "largest three": (lambda: X.topk(3), N),
    "in order": (X.sort, N),
    "place of the largest": (X.argmax, 0),
    "compare": (lambda: X > 0, 0),
    "all": ((X > 0).all, 0),
    "largest of indices": (TARGETS.max, 0),
    "indices in order": (TARGETS.sort, 0),
}


@pytest.mark.parametrize(("step", "operations"), COMPARISONS.values(), ids=COMPARISONS)
def test_a_comparison_counts_where_its_result_is_a_number(count, step, operations):
    assert count(step).pointwise["forward"] == operations


@pytest.mark.parametrize("step", MOVEMENT.values(), ids=MOVEMENT)
def test_movement_is_zero_by_rule(count, step):
    counted = count(step)
    assert (counted.total, sum(counted.pointwise.values())) == (0, 0)


@pytest.mark.parametrize("step", NO_FLOATING_POINT.values(), ids=NO_FLOATING_POINT)
def test_what_gives_no_floating_point_numbers_takes_no_flops(count, step):
    assert sum(count(step).pointwise.values()) == 0


def test_the_four_layers_of_a_published_profile(count):
    model = nn.Sequential(nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5), nn.ReLU()).eval()
    counted = count(lambda: model(ones(8, 16)))
    bias = 8 * 5  # which the profile left out
    assert counted.total == 2 * 640
    assert counted.total + counted.pointwise["forward"] == 1704 + bias


def test_connectionist_temporal_classification(count):
    """Of 2 samples, 10 frames and 4 letters with blanks around each: 9 states."""
    x = torch.randn(10, 2, 6).log_softmax(-1).requires_grad_()
    letters, frames, lengths = torch.ones(2, 4, dtype=torch.int64), torch.tensor([10, 8]), torch.tensor([4, 3])
    counted = count(lambda: functional.ctc_loss(x, letters, frames, lengths, reduction="sum").backward())
    assert counted.pointwise["forward"] == 13 * 2 * 10 * 9 + 2  # and the sum of two losses
    assert counted.pointwise["backward"] == 17 * 2 * 10 * 9 + 5 * 10 * 2 * 6
    assert counted.transcendental["forward"] == 4 * 2 * 10 * 9


INTERPOLATIONS = {
    ("nearest", 1): 1, ("nearest", 2): 1, ("nearest", 3): 1, ("nearest-exact", 2): 1,
    ("linear", 1): 2, ("bilinear", 2): 4, ("trilinear", 3): 8, ("bicubic", 2): 16,
}  # fmt: skip


@pytest.mark.parametrize(("mode", "dimensions"), INTERPOLATIONS)
def test_interpolation_weighs_neighbors_and_adds_them_up(count, mode, dimensions):
    neighbors = INTERPOLATIONS[mode, dimensions]
    image = torch.ones(2, 3, *[4] * dimensions, requires_grad=True)
    counted = count(
        lambda: functional.interpolate(image, scale_factor=2, mode=mode).backward(torch.ones(2, 3, *[8] * dimensions))
    )
    result = 2 * 3 * 8**dimensions
    assert counted.pointwise["forward"] == (0 if neighbors == 1 else (2 * neighbors - 1) * result)
    assert counted.pointwise["backward"] == (1 if neighbors == 1 else 2 * neighbors) * result


@pytest.mark.parametrize(
    ("affine", "training", "each"), [(True, True, 5), (True, False, 2), (False, True, 4), (False, False, 1)]
)
def test_the_norm_of_a_batch_scales_and_shifts_by_weights_where_it_has_some(count, affine, training, each):
    norm = nn.BatchNorm1d(4, affine=affine).train(training)
    assert count(lambda: norm(torch.ones(5, 4))).pointwise["forward"] == each * 20


@pytest.mark.parametrize("exponent, share", [(-3, 1), (-2, 0), (-1, 0), (0.5, 1), (1, 0), (2, 0), (3, 0), (4, 1)])
def test_a_power_that_runs_as_products_is_not_transcendental(count, exponent, share):
    counted = count(lambda: torch.pow(ones(3, 4), exponent))
    assert (counted.pointwise["forward"], counted.transcendental["forward"]) == (12, 12 * share)
