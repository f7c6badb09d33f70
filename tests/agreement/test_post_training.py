"""Test steps of post-training drawn at random: predicted == counted, phase by phase, with a cache in generation."""

from dataclasses import replace

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from flopbook.measure import FlopCount
from flopbook.predict import evaluate
from flopbook.predict.post_training import (
    Rollouts,
    adapted_decoder,
    asked_decoder,
    distillation,
    dpo,
    grpo,
    ppo,
    rejection_sampling,
)

some = settings(max_examples=6)


class Layer(nn.Module):
    """Runs a matrix, which is frozen beside an adapter where there is a rank."""

    def __init__(self, rows, columns, rank):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(rows, columns), requires_grad=not rank)
        if rank:
            self.a, self.b = nn.Parameter(torch.zeros(rows, rank)), nn.Parameter(torch.zeros(rank, columns))

    def forward(self, x):
        return x @ self.w + (x @ self.a) @ self.b if hasattr(self, "a") else x @ self.w


class Block(nn.Module):
    def __init__(self, D, H, G, E, F, gated, rank):  # noqa: PLR0913, PLR0917  (sizes)
        super().__init__()
        self.E, self.before = E, ()
        self.q, self.k, self.v = (Layer(D, heads * E, rank) for heads in (H, G, G))
        self.out, self.up, self.down = Layer(H * E, D, rank), Layer(D, F, rank), Layer(F, D, rank)
        self.gate = Layer(D, F, rank) if gated else None

    def forward(self, x, keep):
        q, k, v = (layer(x).unflatten(-1, (-1, self.E)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        if keep:
            if self.before:
                k, v = (torch.cat(both, 2) for both in zip(self.before, (k, v), strict=True))
            self.before = k, v
        grouped = q.shape[1] != k.shape[1]
        o = scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1, enable_gqa=grouped)
        x = x + self.out(o.transpose(1, 2).flatten(2))
        n = nn.functional.silu(self.gate(x)) * self.up(x) if self.gate else self.up(x).relu()
        return x + self.down(n)


class Decoder(nn.Module):
    """Runs a decoder, as whole sequences or token by token with a cache; asked at the tokens of a slice."""

    def __init__(self, L, D, H, G, E, F, V, matrices, tables, outputs=None, rank=0):  # noqa: PLR0913, PLR0917  (sizes)
        super().__init__()
        self.tokens = nn.Embedding(V, D).requires_grad_(not rank)
        self.blocks = nn.ModuleList(Block(D, H, G, E, F, matrices == 3, rank) for _ in range(L))
        self.output = nn.Linear(D, outputs or V, bias=False).requires_grad_(not rank)
        if tables == 1 and outputs is None:
            self.output.weight = self.tokens.weight

    def forward(self, tokens, asked, keep=False):
        x = self.tokens(tokens)
        for block in self.blocks:
            x = block(x, keep)
        return self.output(x[:, asked])


def counted(run):
    with FlopCount() as count:
        run()
    return count


def write(model, rollouts):
    """Write responses of a fixed length, and return the counts of prefill and decode."""
    samples = rollouts.samples if rollouts.shared else 1
    readers = rollouts.prompts if rollouts.shared else rollouts.sequences
    prompts = torch.zeros(int(readers), int(rollouts.prompt), dtype=torch.long)
    for block in model.blocks:
        block.before = ()
    with torch.no_grad():
        with FlopCount() as prefill:
            logits = model(prompts, slice(-1, None), keep=True)
        for block in model.blocks:
            block.before = tuple(each.repeat_interleave(int(samples), 0) for each in block.before)
        token = logits.argmax(-1).repeat_interleave(int(samples), 0)
        with FlopCount() as decode:
            for _ in range(int(rollouts.response) - 1):
                token = model(token, slice(-1, None), keep=True).argmax(-1)
    return prefill, decode


def whole(rollouts):
    return torch.zeros(int(rollouts.sequences), int(rollouts.tokens), dtype=torch.long)


def response(rollouts):
    return slice(int(rollouts.prompt) - 1, -1)


def score(model, rollouts, asked=None):
    with torch.no_grad():
        return counted(lambda: model(whole(rollouts), asked or response(rollouts)))


def train(model, rollouts, epochs=1):
    def run():
        for _ in range(epochs):
            model(whole(rollouts), response(rollouts)).sum().backward()

    return counted(run)


@st.composite
def decoders(draw):
    """Draw sizes where H heads of queries share from one to H heads of keys, and E is not D / H."""
    heads = {"G": draw(st.integers(1, 3))}
    heads["H"] = heads["G"] * draw(st.integers(1, 3))
    forms = {"matrices": draw(st.sampled_from([2, 3])), "tables": draw(st.sampled_from([1, 2]))}
    return {letter: draw(st.integers(1, 7)) for letter in "DEFV"} | {"L": draw(st.integers(1, 3))} | heads | forms


rollouts_drawn = st.builds(
    Rollouts,
    prompts=st.integers(1, 3),
    samples=st.integers(1, 4),
    prompt=st.integers(1, 6),
    response=st.integers(1, 6),
    shared=st.booleans(),
)
ONE = Rollouts(prompts=1, samples=1, prompt=1, response=1)
GROUP = Rollouts(prompts=2, samples=3, prompt=5, response=4, shared=True)
SIZES = dict(L=2, D=6, H=4, G=2, E=3, F=7, V=11, matrices=3, tables=2)
POLICY, JUDGE = asked_decoder(), asked_decoder(outputs=1)


def agree(step, counts, sizes):
    """Hold each phase to its count."""
    assert [evaluate(phase.flops, sizes) for phase in step.phases] == [count.model_flops for count in counts]


@some
@given(decoders(), rollouts_drawn, st.integers(1, 3), st.booleans())
@example(SIZES, ONE, 1, True)
@example(SIZES, GROUP, 2, False)
def test_each_phase_of_grpo(sizes, rollouts, epochs, rescored):
    policy = Decoder(**sizes)
    step = grpo(POLICY, POLICY, rollouts=rollouts, epochs=epochs, rescored=rescored)
    scores = [score(policy, rollouts) for _ in range(1 + rescored)]
    agree(step, [*write(policy, rollouts), *scores, train(policy, rollouts, epochs)], sizes)


@some
@given(decoders(), decoders(), rollouts_drawn)
@example(SIZES, SIZES | dict(D=5, L=1), GROUP)
def test_each_phase_of_ppo_with_models_of_two_sizes(large, small, rollouts):
    policy, value, reward = Decoder(**large), Decoder(**small, outputs=1), Decoder(**small, outputs=1)
    judge = JUDGE.at(**small)
    step = ppo(POLICY.at(**large), judge, judge, POLICY.at(**large), rollouts)
    agree(
        step,
        [
            *write(policy, rollouts),
            score(policy, rollouts),
            score(policy, rollouts),
            score(value, rollouts),
            score(reward, rollouts, slice(-1, None)),
            train(policy, rollouts),
            train(value, rollouts),
        ],
        {},
    )


@some
@given(decoders(), rollouts_drawn, st.booleans())
def test_each_phase_of_dpo_whose_reference_may_be_kept_from_before(sizes, rollouts, kept):
    step = dpo(POLICY, None if kept else POLICY, rollouts)
    pairs = replace(rollouts, samples=2)
    policy = Decoder(**sizes)
    agree(step, [*([] if kept else [score(policy, pairs)]), train(policy, pairs)], sizes)


@some
@given(decoders(), decoders(), rollouts_drawn, st.sampled_from(["data", "student", "teacher"]))
def test_each_phase_of_distillation(small, large, rollouts, writer):
    student, teacher = Decoder(**small), Decoder(**large)
    step = distillation(POLICY.at(**small), POLICY.at(**large), rollouts, writer)
    writers = {"data": [], "student": [student], "teacher": [teacher]}[writer]
    scores = [] if writer == "teacher" else [score(teacher, rollouts)]
    written = [count for model in writers for count in write(model, rollouts)]
    agree(step, [*written, *scores, train(student, rollouts)], {})


@some
@given(decoders(), rollouts_drawn, st.integers(0, 2))
def test_each_phase_of_rejection_sampling(sizes, rollouts, best):
    best = min(best, int(rollouts.samples))
    policy, reward = Decoder(**sizes), Decoder(**sizes, outputs=1)
    counts = [*write(policy, rollouts), score(reward, rollouts, slice(-1, None))]
    if best:
        counts.append(train(policy, replace(rollouts, samples=best)))
    agree(rejection_sampling(POLICY, JUDGE, rollouts, kept=best), counts, sizes)


@some
@given(decoders(), rollouts_drawn, st.integers(1, 4))
@example(SIZES, GROUP, 1)
def test_each_phase_of_an_adapted_policy_whose_reference_is_the_frozen_model(sizes, rollouts, rank):
    gated = sizes["matrices"] == 3
    step = grpo(adapted_decoder(gated), POLICY, rollouts=rollouts)
    policy, reference = Decoder(**sizes, rank=rank), Decoder(**sizes)
    agree(
        step,
        [
            *write(policy, rollouts),
            score(policy, rollouts),
            score(reference, rollouts),
            train(policy, rollouts),
        ],
        sizes | {"rank": rank},
    )
    numbers = norms(sizes) + sum(weight.numel() for weight in policy.parameters())
    assert numbers == evaluate(adapted_decoder(gated).parameters, sizes | {"rank": rank})


def norms(sizes):
    return (2 * sizes["L"] + 1) * sizes["D"]


@some
@given(decoders(), rollouts_drawn)
@example(SIZES, GROUP)
def test_what_the_mask_leaves_is_counted_as_needed(sizes, rollouts):
    """Fused attention knows its mask; scores of forward passes alone, since backward makes some again."""
    model = Decoder(**sizes)
    rollouts = replace(rollouts, needed=True)
    step = grpo(POLICY, rollouts=rollouts)
    counts = [*write(model, rollouts), score(model, rollouts)]
    assert [evaluate(phase.flops, sizes) for phase in step.phases[:3]] == [count.needed for count in counts]


@some
@given(decoders(), rollouts_drawn, st.sampled_from(["prompts", "samples", "prompt", "response", "epochs", "shared"]))
def test_a_step_with_another_size_disagrees(sizes, rollouts, which):
    policy = Decoder(**sizes)
    counts = [*write(policy, rollouts), score(policy, rollouts), train(policy, rollouts)]
    if which == "shared":
        rollouts = replace(rollouts, samples=rollouts.samples + 1)  # with one response nothing is shared
        counts[:2] = write(policy, replace(rollouts, shared=not rollouts.shared))
    elif which != "epochs":
        rollouts = replace(rollouts, **{which: getattr(rollouts, which) + 1})
    step = grpo(POLICY, rollouts=rollouts, epochs=2 if which == "epochs" else 1)
    assert evaluate(step.flops, sizes) != sum(count.model_flops for count in counts)
