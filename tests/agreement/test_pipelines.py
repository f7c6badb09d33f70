"""Test schedules of a pipeline on gloo ranks: predicted == what PyTorch's own schedules run, keep and send."""

from itertools import pairwise

import pytest
import torch
from torch import distributed, nn
from torch.distributed import pipelining
from torch.distributed.pipelining import schedules
from torch.utils.checkpoint import checkpoint

from flopbook.measure import FlopCount
from flopbook.measure.memory import weigh
from flopbook.predict import evaluate, matmul, training_step
from flopbook.predict.models import attention_part, embedding, feed_forward_part, output_layer
from flopbook.predict.parallel import (
    gpipe,
    interleaved,
    one_forward_one_backward,
    pipeline_stages,
    stage_flops,
    zero_bubble,
)
from tests.support.ranks import run_on

#: Of each schedule PyTorch's own, ours, and chunks, micro-batches, sequences of one; stages' widths follow.
CASES = {
    2: [
        ("ScheduleGPipe", gpipe, 1, 3, 2),
        ("ScheduleGPipe", gpipe, 1, 1, 5),
        ("Schedule1F1B", one_forward_one_backward, 1, 5, 3),
        ("ScheduleInterleaved1F1B", interleaved, 2, 6, 2),
        ("ScheduleInterleaved1F1B", interleaved, 3, 4, 1),
        ("ScheduleInterleavedZeroBubble", zero_bubble, 1, 4, 3),
    ],
    4: [
        ("ScheduleGPipe", gpipe, 1, 5, 2),
        ("Schedule1F1B", one_forward_one_backward, 1, 7, 3),
        ("ScheduleInterleaved1F1B", interleaved, 2, 8, 1),
        ("ScheduleInterleavedZeroBubble", zero_bubble, 1, 8, 2),
    ],
}
WIDTHS = [3, 11, 5, 7, 2, 13, 19, 9, 23]  # between stages
HIDDEN = [17, 6, 29, 4, 10, 23, 8, 31]  # inside of each
GPT = dict(B=2, T=5, D=12, H=3, G=3, E=4, F=29, V=37)
GPT_RUNS = {"Schedule1F1B": 5, "ScheduleGPipe": 3, "ScheduleInterleavedZeroBubble": 4}  # and their micro-batches
KINDS = {"forward": "F", "backward": "B", "input gradient": "I", "weight gradient": "W"}


class Again(nn.Module):
    """Runs a module again in the backward pass, instead of keeping what that needs."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=False)


class Block(nn.Module):
    """Runs a block of a transformer with its attention by hand."""

    def __init__(self, D, H, E, F):
        super().__init__()
        self.E, self.norms = E, nn.ModuleList(nn.LayerNorm(D, bias=False) for _ in "af")
        self.q, self.k, self.v = (nn.Linear(D, H * E, bias=False) for _ in "qkv")
        self.out, self.up, self.down = (nn.Linear(*widths, bias=False) for widths in ((H * E, D), (D, F), (F, D)))

    def forward(self, x):
        n = self.norms[0](x)
        q, k, v = (project(n).unflatten(-1, (-1, self.E)).transpose(1, 2) for project in (self.q, self.k, self.v))
        o = (q @ k.mT / self.E**0.5).softmax(-1) @ v
        x = x + self.out(o.transpose(1, 2).flatten(2))
        return x + self.down(nn.functional.gelu(self.up(self.norms[1](x))))


def in_turn(stages, ran, held):
    """Note what each stage runs, and how many forward passes are kept."""

    def noted(stage, method, kind):
        run = getattr(stage, method)

        def also_noted(micro_batch, *args, full_backward=True, **kwargs):
            options = kwargs if method != "backward_one_chunk" else dict(kwargs, full_backward=full_backward)
            result = run(micro_batch, *args, **options)
            ran.append((kind if full_backward else "I", stage.stage_index, micro_batch))
            held.append(sum(len(each.fwd_cache) + len(each.backward_state) for each in stages))
            return result

        setattr(stage, method, also_noted)

    for stage in stages:
        noted(stage, "forward_one_chunk", "F")
        noted(stage, "backward_one_chunk", "B")
        noted(stage, "backward_weight_one_chunk", "W")


def measured(named, modules, micro_batches, x, y, loss):  # noqa: PLR0913, PLR0917  (what a step is made of)
    """Run a schedule of PyTorch on this rank, and say in plain data what it did."""
    rank, ranks = distributed.get_rank(), distributed.get_world_size()
    mine = range(rank, len(modules), ranks)
    stages = [pipelining.PipelineStage(modules[i], i, len(modules), torch.get_default_device()) for i in mine]
    one = named in {"ScheduleGPipe", "Schedule1F1B"}
    schedule = getattr(schedules, named)(stages[0] if one else stages, micro_batches, loss_fn=loss)
    ran, held = [], []
    in_turn(stages, ran, held)

    def step():
        given = [x] if rank == 0 else []
        schedule.step(*given, **(dict(target=y) if rank == ranks - 1 else {}))

    step()  # the first step also asks for the shapes of what will be sent, and sends them
    ran.clear()
    with FlopCount() as counted:
        step()
    order = list(ran)
    memory = weigh(step, nn.ModuleList(modules[i] for i in mine), [])
    return dict(
        order=order, held=max(held), forward=counted.forward, backward=counted.backward,
        recomputed=counted.recomputed, uncounted=dict(counted.uncounted), kept=memory.activations,
        sent={name: (sent.calls, sent.payload) for name, sent in counted.by_collective.items()},
    )  # fmt: skip


def mean_square(y, wanted):
    return (y - wanted).square().mean()


def cross_entropy(logits, wanted):
    return nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())


def of_perceptrons(named, chunks, m, B, again):
    stages = chunks * distributed.get_world_size()
    widths = [*WIDTHS[:stages], WIDTHS[-1]]
    modules = [
        nn.Sequential(nn.Linear(before, hidden), nn.ReLU(), nn.Linear(hidden, behind, bias=False))
        for (before, behind), hidden in zip(pairwise(widths), HIDDEN, strict=False)
    ]
    if again:
        modules = [Again(module) for module in modules]
    return measured(named, modules, m, torch.randn(m * B, widths[0]), torch.randn(m * B, widths[-1]), mean_square)


def of_gpt(named, layers, m):
    B, T, D, V = (GPT[letter] for letter in "BTDV")
    blocks = [Block(D, GPT["H"], GPT["E"], GPT["F"]) for _ in range(layers)]
    stages = distributed.get_world_size()
    modules = [nn.Sequential(*blocks[i * layers // stages : (i + 1) * layers // stages]) for i in range(stages)]
    modules[0].insert(0, nn.Embedding(V, D))
    modules[-1].extend([nn.LayerNorm(D, bias=False), nn.Linear(D, V, bias=False)])
    return measured(named, modules, m, *torch.randint(V, (2, m * B, T)), cross_entropy)


def all_cases(cases):
    """Run what is to be compared in one go, for ranks take long to start."""
    torch.manual_seed(0)
    return {
        "schedules": [of_perceptrons(named, chunks, m, B, again=False) for named, _, chunks, m, B in cases],
        "again": of_perceptrons("Schedule1F1B", 1, 5, 3, again=True),
        "GPT": {named: (of_gpt(named, 4, m), m) for named, m in GPT_RUNS.items()},
    }


@pytest.fixture(scope="module", params=CASES, ids=lambda ranks: f"{ranks} ranks")
def on_ranks(request, device):
    ranks = request.param
    return ranks, run_on(device, all_cases, CASES[ranks], ranks=ranks)


def schedule_of(ranks, case):
    _, make, chunks, m, _ = case
    return make(ranks, m, chunks) if make is interleaved else make(ranks, m)


def each_case(on_ranks):
    """Yield each schedule and size with what each rank measured."""
    ranks, results = on_ranks
    for place, case in enumerate(CASES[ranks]):
        for rank, result in enumerate(results):
            yield case, schedule_of(ranks, case), rank, result["schedules"][place]


def stages_of(ranks, chunks, B):
    """Predict the FLOPs of each stage, and the numbers that it gets, has inside, and gives."""
    stages = ranks * chunks
    widths = [*WIDTHS[:stages], WIDTHS[-1]]
    up, down = matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]")
    first, other = (stage_flops(training_step(up, down, data=data), ["w1", "w2"]) for data in ("x", ()))
    sizes = [
        dict(B=B, D=before, H=hidden, K=behind)
        for (before, behind), hidden in zip(pairwise(widths), HIDDEN, strict=False)
    ]
    return [[evaluate(part, each) for part in (other if i else first)] for i, each in enumerate(sizes)], sizes


def test_every_rank_runs_what_the_schedule_says_in_its_order(on_ranks):
    for case, schedule, rank, result in each_case(on_ranks):
        said = [(KINDS[action.kind], action.stage, action.micro_batch) for action in schedule.orders[rank]]
        assert result["order"] == said, (case, rank)


def test_the_flops_of_each_rank_are_those_of_its_stages(on_ranks):
    ranks, _ = on_ranks
    for (_, _, chunks, m, B), schedule, rank, result in each_case(on_ranks):
        of_stages, _ = stages_of(ranks, chunks, B)
        mine = [of_stages[stage] for stage in schedule.stages(rank)]
        assert result["forward"] == m * sum(stage[0] for stage in mine)
        assert result["backward"] == m * sum(stage[1] + stage[2] for stage in mine)
        assert (result["recomputed"], result["uncounted"]) == (0, {})
        as_if_inside = m * sum(2 * stage[0] for stage in mine)  # the first stage's input is data
        assert (result["backward"] == as_if_inside) == (rank > 0)


def test_as_many_forward_passes_are_kept_as_the_schedule_says(on_ranks):
    for case, schedule, rank, result in each_case(on_ranks):
        assert result["held"] == schedule.in_flight(rank), (case, rank)


def test_each_rank_sends_and_receives_at_each_boundary_of_its_stages(on_ranks):
    for (_, _, chunks, m, B), schedule, rank, result in each_case(on_ranks):
        last = schedule.ranks * chunks - 1
        crossed = [4 * B * WIDTHS[stage + 1] for stage in schedule.stages(rank) if stage < last]
        entered = [4 * B * WIDTHS[stage] for stage in schedule.stages(rank) if stage > 0]
        both_ways = m * (len(crossed) + len(entered)), m * (sum(crossed) + sum(entered))
        assert result["sent"] == {"send": both_ways, "receive": both_ways}
        calls = {"send": 0, "receive": 0}
        for transfer in schedule.transfers(rank, 1):
            calls[transfer.collective] += transfer.calls
        assert calls == {"send": both_ways[0], "receive": both_ways[0]}


def test_the_bytes_that_a_rank_keeps_are_those_of_what_is_in_flight(on_ranks):
    ranks, _ = on_ranks
    for (named, _, chunks, m, B), schedule, rank, result in each_case(on_ranks):
        if chunks > 1 or named == "ScheduleInterleavedZeroBubble":
            continue  # stages of a rank differ; and a split backward frees some of it early
        _, sizes = stages_of(ranks, chunks, B)
        own = sizes[rank]
        inside = own["H"] + own["K"] * (rank == ranks - 1)  # the loss keeps a difference
        flying = schedule.in_flight(rank)
        enters = flying * own["D"] if rank else m * own["D"]  # data of a step is one tensor, and there from the start
        assert result["kept"] == 4 * B * (flying * inside + enters), (named, rank)


def test_checkpoints_keep_only_what_enters_a_stage_and_run_it_again(on_ranks):
    ranks, results = on_ranks
    schedule, B = one_forward_one_backward(ranks, 5), 3
    of_stages, sizes = stages_of(ranks, 1, B)
    for rank, result in enumerate(results):
        own, again = sizes[rank], result["again"]
        assert again["forward"] == 5 * of_stages[rank][0]
        assert again["backward"] == 5 * sum(of_stages[rank][1:])
        # the last product of each stage need not run again
        assert again["recomputed"] == 5 * 2 * B * own["D"] * own["H"]
        flying = schedule.in_flight(rank) if rank else 5
        at_once = max(own["H"], own["K"] * (rank == ranks - 1))  # the loss's difference is gone before the stage runs
        assert again["kept"] == 4 * B * (flying * own["D"] + at_once)


def test_the_ends_of_a_gpt_make_ranks_unequal(on_ranks):
    ranks, results = on_ranks
    block = (attention_part() + feed_forward_part()).at(S=GPT["T"], matrices=2)
    stages = pipeline_stages(block, 4, ranks, first=embedding(), last=output_layer())
    for rank, result in enumerate(results):
        for named, (counted, m) in result["GPT"].items():
            assert counted["forward"] == m * evaluate(stages[rank].forward, GPT)
            assert counted["backward"] == m * evaluate(stages[rank].backward, GPT), named
            calls = m * ((rank > 0) + (rank < ranks - 1))
            assert counted["sent"]["send"] == (calls, calls * 4 * GPT["B"] * GPT["T"] * GPT["D"])
    first, *_, last = (result["GPT"]["Schedule1F1B"][0]["forward"] for result in results)
    assert last - first == 5 * 2 * GPT["B"] * GPT["T"] * GPT["D"] * GPT["V"]
