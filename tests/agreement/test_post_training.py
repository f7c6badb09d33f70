"""Test steps of post-training drawn at random: predicted == counted, phase by phase, with a cache in generation."""

from dataclasses import replace

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

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
from flopbook.specimens.in_torch.cached import CachedDecoder

some = settings(max_examples=6)


class Adapted(nn.Module):
    """Runs a frozen layer, and an adapter beside it."""

    def __init__(self, layer, rank):
        super().__init__()
        self.layer = layer
        self.a = nn.Parameter(torch.zeros(layer.in_features, rank))
        self.b = nn.Parameter(torch.zeros(rank, layer.out_features))

    def forward(self, x):
        return self.layer(x) + (x @ self.a) @ self.b


def build(tables, outputs=None, rank=0, **sizes):
    """Build a decoder, with one output in place of the vocabulary's, or frozen with adapters of a rank."""
    model = CachedDecoder(**sizes)
    if tables == 1:
        model.output.weight = model.table.weight
    if outputs:
        model.output = nn.Linear(sizes["D"], outputs, bias=False)
    if rank:
        model.requires_grad_(False)
        for part in (*model.met, *model.fed):
            for name, layer in list(part.named_children()):
                setattr(part, name, Adapted(layer, rank))
    return model


def counted(run):
    with FlopCount() as count:
        run()
    return count


def write(model, rollouts):
    """Write responses of a fixed length, and return the counts of prefill and decode."""
    samples = int(rollouts.samples) if rollouts.shared else 1
    prompts = torch.zeros(int(rollouts.sequences) // samples, int(rollouts.prompt), dtype=torch.long)
    with torch.no_grad():
        with FlopCount() as prefill:
            logits, cache = model(prompts)
        cache = [tuple(each.repeat_interleave(samples, 0) for each in both) for both in cache]
        token = logits.argmax(-1).repeat_interleave(samples, 0)
        with FlopCount() as decode:
            for _ in range(int(rollouts.response) - 1):
                logits, cache = model(token, cache)
                token = logits.argmax(-1)
    return prefill, decode


def answer(model, rollouts, asked=None):
    """Read whole sequences, and answer at the tokens before each of the response, unless told otherwise."""
    x, _ = model.read(torch.zeros(int(rollouts.sequences), int(rollouts.tokens), dtype=torch.long))
    return model.answer(x[:, asked or slice(int(rollouts.prompt) - 1, -1)])


def score(model, rollouts, asked=None):
    with torch.no_grad():
        return counted(lambda: answer(model, rollouts, asked))


def train(model, rollouts, epochs=1):
    def run():
        for _ in range(epochs):
            answer(model, rollouts).sum().backward()

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
ADAPTED = {matrices: adapted_decoder(gated=matrices == 3) for matrices in (2, 3)}


def agree(step, counts, sizes):
    """Hold each phase to its count."""
    assert [evaluate(phase.flops, sizes) for phase in step.phases] == [count.model_flops for count in counts]


@some
@given(decoders(), rollouts_drawn, st.integers(1, 3), st.booleans())
@example(SIZES, ONE, 1, True)
@example(SIZES, GROUP, 2, False)
def test_each_phase_of_grpo(sizes, rollouts, epochs, rescored):
    policy = build(**sizes)
    step = grpo(POLICY, POLICY, rollouts=rollouts, epochs=epochs, rescored=rescored)
    scores = [score(policy, rollouts) for _ in range(1 + rescored)]
    agree(step, [*write(policy, rollouts), *scores, train(policy, rollouts, epochs)], sizes)


@some
@given(decoders(), decoders(), rollouts_drawn)
@example(SIZES, SIZES | dict(D=5, L=1), GROUP)
def test_each_phase_of_ppo_with_models_of_two_sizes(large, small, rollouts):
    policy, value, reward = build(**large), build(**small, outputs=1), build(**small, outputs=1)
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
    policy = build(**sizes)
    agree(step, [*([] if kept else [score(policy, pairs)]), train(policy, pairs)], sizes)


@some
@given(decoders(), decoders(), rollouts_drawn, st.sampled_from(["data", "student", "teacher"]))
def test_each_phase_of_distillation(small, large, rollouts, writer):
    student, teacher = build(**small), build(**large)
    step = distillation(POLICY.at(**small), POLICY.at(**large), rollouts, writer)
    writers = {"data": [], "student": [student], "teacher": [teacher]}[writer]
    scores = [] if writer == "teacher" else [score(teacher, rollouts)]
    written = [count for model in writers for count in write(model, rollouts)]
    agree(step, [*written, *scores, train(student, rollouts)], {})


@some
@given(decoders(), rollouts_drawn, st.integers(0, 2))
def test_each_phase_of_rejection_sampling(sizes, rollouts, best):
    best = min(best, int(rollouts.samples))
    policy, reward = build(**sizes), build(**sizes, outputs=1)
    counts = [*write(policy, rollouts), score(reward, rollouts, slice(-1, None))]
    if best:
        counts.append(train(policy, replace(rollouts, samples=best)))
    agree(rejection_sampling(POLICY, JUDGE, rollouts, kept=best), counts, sizes)


@some
@given(decoders(), rollouts_drawn, st.integers(1, 4))
@example(SIZES, GROUP, 1)
def test_each_phase_of_an_adapted_policy_whose_reference_is_the_frozen_model(sizes, rollouts, rank):
    adapted = ADAPTED[sizes["matrices"]]
    step = grpo(adapted, POLICY, rollouts=rollouts)
    policy, reference = build(**sizes, rank=rank), build(**sizes)
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
    numbers = sum(weight.numel() for weight in policy.parameters())
    assert numbers == evaluate(adapted.parameters, sizes | {"rank": rank})


@some
@given(decoders(), rollouts_drawn)
@example(SIZES, GROUP)
def test_what_the_mask_leaves_is_counted_as_needed(sizes, rollouts):
    """Fused attention knows its mask; scores of forward passes alone, since backward makes some again."""
    model = build(**sizes)
    rollouts = replace(rollouts, needed=True)
    step = grpo(POLICY, rollouts=rollouts)
    counts = [*write(model, rollouts), score(model, rollouts)]
    assert [evaluate(phase.flops, sizes) for phase in step.phases[:3]] == [count.needed for count in counts]


@some
@given(decoders(), rollouts_drawn, st.sampled_from(["prompts", "samples", "prompt", "response", "epochs", "shared"]))
def test_a_step_with_another_size_disagrees(sizes, rollouts, which):
    policy = build(**sizes)
    counts = [*write(policy, rollouts), score(policy, rollouts), train(policy, rollouts)]
    if which == "shared":
        rollouts = replace(rollouts, samples=rollouts.samples + 1)  # with one response nothing is shared
        counts[:2] = write(policy, replace(rollouts, shared=not rollouts.shared))
    elif which != "epochs":
        rollouts = replace(rollouts, **{which: getattr(rollouts, which) + 1})
    step = grpo(POLICY, rollouts=rollouts, epochs=2 if which == "epochs" else 1)
    assert evaluate(step.flops, sizes) != sum(count.model_flops for count in counts)
