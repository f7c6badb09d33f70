"""Test copies and shards on ranks that run: predicted == counted == weighed, on every rank."""

from itertools import pairwise
from math import prod

import pytest
import torch
from torch import distributed, nn
from torch.nn import functional as F

from flopbook.measure import FlopCount
from flopbook.measure.distributed import fake_ranks
from flopbook.measure.memory import weigh
from flopbook.predict import evaluate, flops
from flopbook.predict.memory import FLOAT32, Formats
from flopbook.predict.models.transformer import decoder_block
from flopbook.predict.parallel import Unit, carried, data_parallel, flat_sharded, fully_sharded, whole_tensors, zero
from tests.support.ranks import carried_by, run_on

WIDTHS, BATCH = (7, 11, 5, 3), 12
SIZES = dict(V=13, D=6, H=3, G=3, E=2, F=14, L=2, T=5, S=5, B=8)
ACCEPTANCE = dict(V=256, D=128, H=4, G=4, E=32, F=512, L=2, T=64, S=64, B=4)


class Block(nn.Module):
    """A block whose attention is two products."""

    def __init__(self, D, H, F, **_):
        super().__init__()
        self.H, self.norm1, self.norm2 = H, nn.LayerNorm(D), nn.LayerNorm(D)
        self.q, self.k, self.v, self.out = (nn.Linear(D, D, bias=False) for _ in range(4))
        self.feed = nn.Sequential(nn.Linear(D, F, bias=False), nn.GELU(), nn.Linear(F, D, bias=False))

    def forward(self, x):
        n = self.norm1(x)
        q, k, v = (one(n).unflatten(-1, (self.H, -1)).transpose(1, 2) for one in (self.q, self.k, self.v))
        o = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        x = x + self.out(o.transpose(1, 2).flatten(2))
        return x + self.feed(self.norm2(x))


class GPT(nn.Module):
    """Blocks between an embedding and an output layer."""

    def __init__(self, V, D, L, **sizes):
        super().__init__()
        self.tokens, self.output = nn.Embedding(V, D), nn.Linear(D, V, bias=False)
        self.blocks = nn.ModuleList(Block(D, **sizes) for _ in range(L))

    def forward(self, tokens):
        x = self.tokens(tokens)
        for block in self.blocks:
            x = block(x)
        return self.output(x)


def perceptron():
    torch.manual_seed(0)
    layers = [layer for pair in pairwise(WIDTHS) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def data(kind, sizes, share):
    if kind == "GPT":
        tokens = torch.zeros(sizes["B"] // share, sizes["T"], dtype=torch.int64)
        return tokens, lambda y: F.cross_entropy(y.flatten(0, 1), tokens.flatten())
    return torch.ones(BATCH // share, WIDTHS[0]), lambda y: y.square().mean()


def model_of(kind, sizes):
    return GPT(**sizes) if kind == "GPT" else perceptron()


def parts(model):
    """The modules that a unit of its own holds, inner ones first."""
    if isinstance(model, GPT):
        return [part for block in model.blocks for part in (block.feed, block)]
    return [model[0], model[2]]


def shapes_of_units(kind, sizes):
    """The shapes of each unit's parameters, written down by hand."""
    if kind == "GPT":
        V, D, width, L = (sizes[letter] for letter in "VDFL")
        block = [[(width, D), (D, width)], 4 * [(D,)] + 4 * [(D, D)]]
        return [*(L * block), [(V, D), (V, D)]]
    return [[(K, D), (K,)] for D, K in pairwise(WIDTHS)]


def shapes(kind, sizes):
    return [shape for unit in shapes_of_units(kind, sizes) for shape in unit]


def units(kind, sizes, *, inner=True, root=False):
    *inside, outermost = shapes_of_units(kind, sizes)
    return [*(Unit(unit, inner) for unit in inside), Unit(outermost, root)]


def backward_order(kind, sizes):
    """The order of gradients: PyTorch rebuilds its buckets in it."""
    return [shape for unit in reversed(shapes_of_units(kind, sizes)) for shape in sorted(unit, key=len)]


#: By name: which model, how it is wrapped, the micro-batches, whether each sends, and its prediction on a rank.
SCHEMES = {
    "DDP": ("data_parallel", {}, 1, True, lambda kind, z, n, r: data_parallel(backward_order(kind, z), n)),
    "DDP, buckets of 104 bytes": (
        "data_parallel", dict(bucket_cap_mb=104 / 2**20), 1, True,
        lambda kind, z, n, r: data_parallel(backward_order(kind, z), n, bucket_bytes=104),
    ),
    "DDP, 3 micro-batches": (
        "data_parallel", {}, 3, True,
        lambda kind, z, n, r: data_parallel(backward_order(kind, z), n, micro_batches=3),
    ),
    "DDP, 3 micro-batches, no_sync": (
        "data_parallel", {}, 3, False,
        lambda kind, z, n, r: data_parallel(backward_order(kind, z), n, micro_batches=3, every_micro_batch=False),
    ),
    "ZeroRedundancyOptimizer": (
        "whole_tensors", {}, 1, True,
        lambda kind, z, n, r: whole_tensors(shapes(kind, z), n, r),
    ),
    "FSDP1": ("flat_sharded", {}, 1, True, lambda kind, z, n, r: flat_sharded(units(kind, z), n)),
    "FSDP1, 2 micro-batches": (
        "flat_sharded", {}, 2, True, lambda kind, z, n, r: flat_sharded(units(kind, z), n, micro_batches=2),
    ),
    "FSDP2": ("fully_sharded", {}, 1, True, lambda kind, z, n, r: fully_sharded(units(kind, z), n, r)),
    "FSDP2, also the root": (
        "fully_sharded", dict(reshard_after_forward=True), 1, True,
        lambda kind, z, n, r: fully_sharded(units(kind, z, root=True), n, r),
    ),
    "FSDP2, kept after forward": (
        "fully_sharded", dict(reshard_after_forward=False), 1, True,
        lambda kind, z, n, r: fully_sharded(units(kind, z, inner=False), n, r),
    ),
    "FSDP2, 3 micro-batches": (
        "fully_sharded", {}, 3, True,
        lambda kind, z, n, r: fully_sharded(units(kind, z), n, r, micro_batches=3),
    ),
    "FSDP2, 3 micro-batches, one sum": (
        "fully_sharded", {}, 3, False,
        lambda kind, z, n, r: fully_sharded(units(kind, z), n, r, micro_batches=3, every_micro_batch=False),
    ),
    "FSDP2, gathered in bf16": (
        "fully_sharded", dict(bf16=True), 1, True,
        lambda kind, z, n, r: fully_sharded(units(kind, z), n, r, gathered=2, reduced=4),
    ),
    "HSDP": (
        "fully_sharded", dict(mesh=(2, -1)), 1, True,
        lambda kind, z, n, r: fully_sharded(units(kind, z), n // 2, r % (n // 2), replicas=2),
    ),
}  # fmt: skip
CASES = [(kind, name) for kind in ("perceptron", "GPT") for name in SCHEMES]


def wrapped(model, how, options):
    """Shard or copy a model as PyTorch's documentation does, and make its optimizer."""
    from torch.distributed.device_mesh import init_device_mesh  # noqa: PLC0415  (only on ranks)
    from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecisionPolicy, fully_shard  # noqa: PLC0415

    ranks, options = distributed.get_world_size(), dict(options)
    if how in {"data_parallel", "whole_tensors"}:
        model = nn.parallel.DistributedDataParallel(model, **options)
        if how == "whole_tensors":
            from torch.distributed.optim import ZeroRedundancyOptimizer  # noqa: PLC0415

            return model, ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW)
    elif how == "flat_sharded":
        inner = {id(part) for part in parts(model)}
        model = FullyShardedDataParallel(
            model, device_id=torch.get_default_device(),
            auto_wrap_policy=lambda module, recurse, nonwrapped_numel: recurse or id(module) in inner,
        )  # fmt: skip
    else:
        if options.pop("bf16", False):
            options["mp_policy"] = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        shape = options.pop("mesh", None)
        mesh = init_device_mesh(
            torch.get_default_device().type,
            (2, ranks // 2) if shape else (ranks,),
            mesh_dim_names=("copies", "shards")[-2 if shape else -1 :],
        )
        for part in [*parts(model), model]:
            fully_shard(part, mesh=mesh, **options)
    return model, torch.optim.AdamW(model.parameters())


def held(memory):
    return memory.parameters, memory.gradients, memory.optimizer


def ran(kind, name, sizes=SIZES):
    """Run steps of a scheme, and return what this rank counts, and weighs, in one."""
    how, options, micro_batches, every, _ = SCHEMES[name]
    model, optimizer = wrapped(model_of(kind, sizes), how, options)
    x, loss = data(kind, sizes, distributed.get_world_size())

    def step():
        optimizer.zero_grad()
        for number in range(micro_batches):
            sync = every or number == micro_batches - 1
            if how == "fully_sharded":
                model.set_requires_gradient_sync(sync)
            model.require_backward_grad_sync = sync  # what `no_sync` sets
            loss(model(x)).backward()
        optimizer.step()

    for _ in range(2 if how in {"data_parallel", "whole_tensors"} else 1):  # until DDP has found its buckets' order
        step()
    with FlopCount() as counted:
        memory = weigh(step, model, [getattr(optimizer, "optim", optimizer)])
    return carried_by(counted), (counted.forward, counted.backward), held(memory)


def all_cases():
    ranks = distributed.get_world_size()
    skipped = {"HSDP"} if ranks < 4 else set()
    return {case: ran(*case) for case in CASES if case[1] not in skipped}


@pytest.fixture(scope="module", params=[2, 4])
def counted(request, device):
    return run_on(device, all_cases, ranks=request.param)


def products(kind, sizes, ranks):
    """FLOPs of a rank: those of its share of the batch."""
    if kind == "GPT":
        share = {**sizes, "B": sizes["B"] // ranks}
        block = decoder_block()
        tokens = share["B"] * share["T"]
        output = 2 * tokens * share["D"] * share["V"]
        phases = (share["L"] * evaluate(flops(phase), share) for phase in (block.forward, block.backward))
        return tuple(phase + times * output for phase, times in zip(phases, (1, 2), strict=True))
    layers = [2 * BATCH // ranks * D * K for D, K in pairwise(WIDTHS)]
    return sum(layers), 2 * sum(layers) - layers[0]


def predicted(kind, name, ranks, rank, sizes=SIZES):
    paper = SCHEMES[name][-1](kind, sizes, ranks, rank)
    times = SCHEMES[name][2]
    return (
        carried(paper.transfers),
        tuple(times * phase for phase in products(kind, sizes, ranks)),
        tuple(paper.held[:3]),
    )


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_predicted_counted_and_weighed_agree_on_every_rank(counted, case):
    if case not in counted[0]:
        pytest.skip("copies of shards take four ranks")
    for rank, seen in enumerate(counted):
        assert seen[case] == predicted(*case, len(counted), rank)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DDP", "DDP, buckets of 104 bytes"), ("DDP, 3 micro-batches", "DDP, 3 micro-batches, no_sync"),
        ("FSDP2", "FSDP2, also the root"), ("FSDP2", "FSDP2, kept after forward"), ("FSDP2", "FSDP1"),
        ("FSDP2", "FSDP2, gathered in bf16"), ("FSDP2, 3 micro-batches", "FSDP2, 3 micro-batches, one sum"),
        ("DDP", "ZeroRedundancyOptimizer"),
    ],
)  # fmt: skip
def test_another_scheme_disagrees(counted, one, other):
    case = ("perceptron", one)
    assert counted[0][case] != predicted("perceptron", other, len(counted), 0)


def acceptance():
    return ran("GPT", "DDP", ACCEPTANCE)


def test_the_published_gpt_sums_the_gradients_of_all_parameters(device):
    parameters = sum(map(prod, shapes("GPT", ACCEPTANCE)))
    for seen in run_on(device, acceptance, ranks=2):
        assert seen == predicted("GPT", "DDP", 2, 0, ACCEPTANCE)
        assert seen[0] == {("all-reduce", "backward"): (2, 4 * parameters, 4 * parameters)}
        assert sum(seen[1]) == 352_321_536


@pytest.mark.parametrize(("ranks", "rank"), [(64, 0), (64, 63), (1024, 1), (1024, 1023)])
@pytest.mark.parametrize("name", ["FSDP2", "FSDP2, kept after forward", "FSDP2, also the root"])
def test_one_rank_of_many_agrees(ranks, rank, name):
    sizes = {**SIZES, "D": 66, "H": 3, "E": 22, "F": 130, "B": 2 * ranks}
    with fake_ranks(ranks, rank):
        seen = ran("GPT", name, sizes)
    assert seen == predicted("GPT", name, ranks, rank, sizes)


def by_hand(stage, numbers):
    """Take a step of ZeRO 1 or 2 with one flat weight and three micro-batches."""
    rank, ranks = distributed.get_rank(), distributed.get_world_size()
    weight = torch.ones(numbers, requires_grad=True)
    shard = weight.detach().chunk(ranks)[rank].clone().requires_grad_()
    optimizer = torch.optim.AdamW([shard])
    summed = torch.zeros_like(shard)
    with FlopCount() as counted:
        for _ in range(3):
            (weight * 2).sum().backward()
            if stage == 2:
                part = torch.empty_like(shard)
                distributed.reduce_scatter_tensor(part, weight.grad)
                summed, weight.grad = summed + part, None
        if stage == 1:
            distributed.reduce_scatter_tensor(summed, weight.grad)
        shard.grad = summed
        optimizer.step()
        distributed.all_gather_into_tensor(weight.data, shard.data)
    state = sum(value.nbytes for value in optimizer.state[shard].values()) - 4  # the step counter
    return sorted((kind, sent) for (kind, _), sent in carried_by(counted).items()), state


@pytest.mark.parametrize("stage", [1, 2])
def test_zero_by_hand_sends_what_the_paper_says(stage, device):
    paper = zero(stage, 24, 2, formats=FLOAT32, micro_batches=3)
    by_kind = sorted((kind, sent) for (kind, _), sent in carried(paper.transfers).items())
    assert run_on(device, by_hand, stage, 24, ranks=2) == 2 * [(by_kind, paper.held.optimizer)]


@pytest.mark.parametrize("ranks", [2, 4])
def test_sizes_that_the_ranks_divide_have_no_padding(ranks):
    shapes = [(8, 3), (8,)]
    for stage, paper in ((0, data_parallel(shapes, ranks)), (3, fully_sharded([Unit(shapes)], ranks))):
        in_letters = zero(stage, 32, ranks, formats=FLOAT32)
        assert carried(paper.transfers) == carried(in_letters.transfers)
        assert paper.held.optimizer - in_letters.held.optimizer == 4 * len(shapes)
        assert paper.held[:2] == in_letters.held[:2]
    assert zero(3, 32, ranks, formats=Formats(2, 2, 2, 4, 4)).held.optimizer == 32 * 12 // ranks
