"""Test methods after pretraining: what each takes by the rule of six, where it is a limit, and what is refused."""

import pytest
from sympy import expand, limit

from flopbook.predict import B, D, N, axis
from flopbook.predict.post_training import (
    Rollouts,
    asked_decoder,
    distillation,
    dpo,
    grpo,
    ppo,
    rejection_sampling,
    rule_of_six,
    supervised,
)

K, M, P, R = map(axis, "KMPR")
POLICY, LARGE = rule_of_six(), rule_of_six(M)
GROUP = Rollouts(samples=K)


@pytest.mark.parametrize(
    ("step", "a_token"),
    [
        (supervised(POLICY), 6 * N),
        (supervised(rule_of_six(frozen=True)), 4 * N),
        (supervised(POLICY, epochs=3), 18 * N),
        (dpo(POLICY, POLICY), 2 * (6 + 2) * N),
        (dpo(POLICY), 2 * 6 * N),
        (distillation(POLICY, LARGE), 6 * N + 2 * M),
        (distillation(POLICY, LARGE, written_by="student"), 8 * N + 2 * M),
        (distillation(POLICY, LARGE, written_by="teacher"), 6 * N + 2 * M),
        (grpo(POLICY, POLICY, rollouts=GROUP), 12 * K * N),
        (grpo(POLICY, POLICY, rollouts=GROUP, rescored=False), 10 * K * N),
        (grpo(POLICY, rollouts=GROUP, epochs=4), (2 + 2 + 24) * K * N),
        (grpo(rule_of_six(frozen=True), POLICY, rollouts=GROUP), 10 * K * N),
        (ppo(POLICY, POLICY, POLICY, POLICY), 22 * N),
        (ppo(POLICY, LARGE, LARGE, POLICY), 12 * N + 10 * M),
        (rejection_sampling(POLICY, LARGE, GROUP), 2 * K * (N + M) + 6 * N),
        (rejection_sampling(POLICY, LARGE, GROUP, kept=0), 2 * K * (N + M)),
    ],
)
def test_long_responses_take_so_many_flops_a_token(step, a_token):
    assert expand(limit(step.flops / (B * R), R, float("inf"))) == expand(a_token)


def test_exact_becomes_the_rule_of_six_where_the_model_is_wide():
    """Attention's own products and the vocabulary grow with the width, and the weights with its square."""
    sizes = dict(L=2, H=3, G=3, E=D, F=4 * D, V=5, matrices=2, tables=2)
    exact = asked_decoder().at(**sizes)
    ratio = grpo(exact, exact).flops / grpo(*2 * [rule_of_six(axis("N"))]).flops.subs(N, exact.parameters)
    assert limit(ratio.subs({B: 1, P: 3, R: 4}), D, float("inf")) == 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: grpo("policy"), "policy='policy' is not a model: write rule_of_six(), or asked_decoder()"),
        (lambda: dpo(POLICY, 7), "reference=7 is not a model"),
        (lambda: ppo(3, POLICY), "policy=3 is not a model"),
        (lambda: ppo(POLICY, None), "value=None is not a model"),
        (lambda: ppo(POLICY, POLICY, rollouts=3), "rollouts=3 are not rollouts"),
        (lambda: dpo(None), "policy=None is not a model"),
        (lambda: dpo(POLICY, rollouts=3), "rollouts=3 are not rollouts"),
        (lambda: grpo(POLICY, rollouts=3), "rollouts=3 are not rollouts"),
        (lambda: distillation(None, LARGE), "student=None is not a model"),
        (lambda: distillation(POLICY, None), "teacher=None is not a model"),
        (lambda: distillation(POLICY, LARGE, rollouts=3), "rollouts=3 are not rollouts"),
        (lambda: rejection_sampling(None), "policy=None is not a model"),
        (lambda: rejection_sampling(POLICY, rollouts=3), "rollouts=3 are not rollouts"),
        (lambda: ppo(POLICY, POLICY, reward=N), "reward=N is not a model"),
        (lambda: supervised(POLICY, epochs=0), "epochs=0 is not a size"),
        (lambda: grpo(POLICY, rescored="no"), "rescored='no' is neither True nor False"),
        (lambda: distillation(POLICY, LARGE, written_by="Student"), "written_by='Student' is not known; did you mean"),
        (lambda: rejection_sampling(POLICY, rollouts=Rollouts(samples=4), kept=5), "kept=5 are more than the 4"),
        (lambda: rejection_sampling(POLICY, kept=-1), "kept=-1 is not a size"),
        (lambda: supervised(POLICY, rollouts=3), "rollouts=3 are not rollouts: write Rollouts"),
    ],
)
def test_what_is_not_of_its_kind_is_refused(wrong, says):
    with pytest.raises((TypeError, ValueError)) as refusal:
        wrong()
    assert says in str(refusal.value)
