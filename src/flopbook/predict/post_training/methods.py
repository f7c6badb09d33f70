"""Predict a step of each method after pretraining, a sum of phases."""

from dataclasses import replace

from sympy import Expr, Integer

from flopbook.checks import one_of, quoted
from flopbook.predict.models.model import Model
from flopbook.predict.post_training.models import check_choices, check_models
from flopbook.predict.post_training.phases import Phase, PostTraining
from flopbook.predict.post_training.rollouts import Rollouts
from flopbook.predict.values import number

__all__ = ["distillation", "dpo", "grpo", "ppo", "rejection_sampling", "supervised"]

_IN_LETTERS = Rollouts()


def supervised(policy: Model, rollouts: Rollouts = _IN_LETTERS, epochs: Expr | int = 1) -> PostTraining:
    """Predict fine-tuning on responses that are given: 6N a token.

    Parameters
    ----------
    policy : Model
        What is trained.
    rollouts : Rollouts
        Prompts and responses.
    epochs : sympy.Expr or int
        How often each is trained on.

    Raises
    ------
    TypeError, ValueError
        If the policy is not a model, or the epochs are not an amount; quotes it.

    Examples
    --------
    >>> from flopbook.predict.post_training import rule_of_six
    >>> supervised(rule_of_six()).flops
    6*B*N*(P + R)
    """
    _check(rollouts, policy=policy)
    return PostTraining((rollouts.train("policy", policy, number("epochs", epochs, least=1)),))


def dpo(
    policy: Model, reference: Model | None = None, rollouts: Rollouts = _IN_LETTERS, epochs: Expr | int = 1
) -> PostTraining:
    """Predict direct preference optimization: of two responses to a prompt, one is preferred.

    Parameters
    ----------
    policy : Model
        What is trained.
    reference : Model, optional
        The model from which the policy shall not stray. Without it, its scores were kept from before.
    rollouts : Rollouts
        Pairs as prompts; the samples are 2, whatever is given.
    epochs : sympy.Expr or int
        How often each pair is trained on.

    Notes
    -----
    Rafailov and others, *Direct Preference Optimization* (2023), equation 7. Scores of the reference do not change,
    and are made once.

    Examples
    --------
    >>> from flopbook.predict.post_training import rule_of_six
    >>> dpo(rule_of_six(), rule_of_six()).flops
    16*B*N*(P + R)
    """
    _check(rollouts, policy=policy)
    pairs = replace(rollouts, samples=2)
    return PostTraining(
        (
            *_scores(pairs, reference=reference),
            pairs.train("policy", policy, number("epochs", epochs, least=1)),
        )
    )


def ppo(  # noqa: PLR0913, PLR0917  (four models take part)
    policy: Model,
    value: Model,
    reward: Model | None = None,
    reference: Model | None = None,
    rollouts: Rollouts = _IN_LETTERS,
    epochs: Expr | int = 1,
    rescored: bool = True,
) -> PostTraining:
    """Predict proximal policy optimization: write, let four models score, train two.

    Parameters
    ----------
    policy : Model
        Writes the responses, and is trained.
    value : Model
        Says at each token what reward is to be expected, and is trained, too.
    reward : Model, optional
        Judges a whole response, at its last token. Without it, a rule does, which takes no products.
    reference : Model, optional
        The model from which the policy shall not stray.
    rollouts : Rollouts
        Prompts and responses.
    epochs : sympy.Expr or int
        How often both are trained on the same responses.
    rescored : bool
        Whether the policy scores its responses again before it is trained, since what wrote them did not keep the
        probabilities, or not precisely enough.

    Notes
    -----
    Schulman and others, *Proximal Policy Optimization Algorithms* (2017); Ouyang and others, *Training Language Models
    to Follow Instructions with Human Feedback* (2022), section 3.5.

    Examples
    --------
    >>> from flopbook.predict.post_training import rule_of_six
    >>> model = rule_of_six()
    >>> step = ppo(model, model, model, model)
    >>> step.of("score"), step.of("train")
    (8*B*N*(P + R), 12*B*N*(P + R))
    """
    _check(rollouts, policy=policy, value=value)
    check_choices(rescored=rescored)
    times = number("epochs", epochs, least=1)
    return PostTraining(
        (
            *rollouts.write("policy", policy),
            *_scores(rollouts, policy=policy if rescored else None, reference=reference, value=value),
            *_rewards(rollouts, reward),
            rollouts.train("policy", policy, times),
            rollouts.train("value", value, times),
        )
    )


def grpo(  # noqa: PLR0913, PLR0917  (what may be left out is)
    policy: Model,
    reference: Model | None = None,
    reward: Model | None = None,
    rollouts: Rollouts = _IN_LETTERS,
    epochs: Expr | int = 1,
    rescored: bool = True,
) -> PostTraining:
    """Predict group relative policy optimization: each response is held to the mean of its group, not to a value.

    Parameters
    ----------
    policy, reference, reward, rollouts, epochs, rescored
        As :func:`ppo` takes them; the samples are the group.

    Notes
    -----
    Shao and others, *DeepSeekMath* (2024), section 4.1.

    Examples
    --------
    >>> from flopbook.predict import evaluate
    >>> from flopbook.predict.post_training import rule_of_six
    >>> step = grpo(rule_of_six(), rule_of_six(), rollouts=Rollouts(samples=4))
    >>> step
    policy: prefill: 8*B*N*P FLOPs
    policy: decode: 8*B*N*(R - 1) FLOPs
    policy: score: 8*B*N*(P + R) FLOPs
    reference: score: 8*B*N*(P + R) FLOPs
    policy: train: 24*B*N*(P + R) FLOPs
    >>> evaluate(step.flops, dict(B=1, N=1000, P=30, R=71)) / (12_000 * 4 * 101)
    0.998...
    """
    _check(rollouts, policy=policy)
    check_choices(rescored=rescored)
    return PostTraining(
        (
            *rollouts.write("policy", policy),
            *_scores(rollouts, policy=policy if rescored else None, reference=reference),
            *_rewards(rollouts, reward),
            rollouts.train("policy", policy, number("epochs", epochs, least=1)),
        )
    )


def distillation(
    student: Model,
    teacher: Model,
    rollouts: Rollouts = _IN_LETTERS,
    written_by: str = "data",
    epochs: Expr | int = 1,
) -> PostTraining:
    """Predict distillation: a student is trained to give the probabilities of a teacher.

    Parameters
    ----------
    student, teacher : Model
        The teacher is not trained.
    rollouts : Rollouts
        Prompts and responses.
    written_by : str
        Who wrote the responses: the ``data``, the ``student`` (on-policy), or the ``teacher``, whose probabilities
        come with what it writes.
    epochs : sympy.Expr or int
        How often each response is trained on.

    Raises
    ------
    TypeError, ValueError
        As the others, or if the writer is not known.

    Notes
    -----
    Hinton and others, *Distilling the Knowledge in a Neural Network* (2015); Agarwal and others, *On-Policy
    Distillation of Language Models* (2024).

    Examples
    --------
    >>> from flopbook.predict import axis
    >>> from flopbook.predict.post_training import rule_of_six
    >>> distillation(rule_of_six(), rule_of_six(axis("M"))).flops
    2*B*M*(P + R) + 6*B*N*(P + R)
    """
    _check(rollouts, student=student, teacher=teacher)
    writer = one_of("written_by", written_by, ("data", "student", "teacher"))
    models = {"student": student, "teacher": teacher}
    return PostTraining(
        (
            *(rollouts.write(writer, models[writer]) if writer in models else ()),
            *_scores(rollouts, teacher=None if writer == "teacher" else teacher),
            rollouts.train("student", student, number("epochs", epochs, least=1)),
        )
    )


def rejection_sampling(
    policy: Model,
    reward: Model | None = None,
    rollouts: Rollouts = _IN_LETTERS,
    kept: Expr | int = 1,
    epochs: Expr | int = 1,
) -> PostTraining:
    """Predict rejection sampling: of the samples of a prompt, the best are trained on.

    Parameters
    ----------
    policy : Model
        Writes the responses, and is trained.
    reward : Model, optional
        Judges each response; without it, a rule does.
    rollouts : Rollouts
        Prompts and samples.
    kept : sympy.Expr or int
        Responses of each prompt that are trained on; 0 where the best is the answer, and nothing is trained.
    epochs : sympy.Expr or int
        How often each of those is trained on.

    Raises
    ------
    TypeError, ValueError
        As the others, or if more are kept than there are; quotes it.

    Notes
    -----
    Touvron and others, *Llama 2* (2023), section 3.2.3.

    Examples
    --------
    >>> from flopbook.predict.post_training import rule_of_six
    >>> step = rejection_sampling(rule_of_six(), rule_of_six(), Rollouts(samples=8))
    >>> step.of("score"), step.of("train")
    (16*B*N*(P + R), 6*B*N*(P + R))
    """
    _check(rollouts, policy=policy)
    best = number("kept", kept)
    if (best - rollouts.samples).is_positive and best.is_number:
        raise ValueError(f"kept={quoted(kept)} are more than the {rollouts.samples} samples: keep fewer")
    times = number("epochs", epochs, least=1)
    trained = () if best == 0 else (replace(rollouts, samples=best).train("policy", policy, times),)
    return PostTraining((*rollouts.write("policy", policy), *_rewards(rollouts, reward), *trained))


def _check(rollouts: object, **models: object) -> None:
    if not isinstance(rollouts, Rollouts):
        raise TypeError(f"rollouts={quoted(rollouts)} are not rollouts: write Rollouts(prompts=16, samples=64)")
    check_models(**models)


def _scores(rollouts: Rollouts, **models: Model | None) -> tuple[Phase, ...]:
    """Let each model score that takes part."""
    given = {name: model for name, model in models.items() if model is not None}
    check_models(**given)
    return tuple(rollouts.score(name, model) for name, model in given.items())


def _rewards(rollouts: Rollouts, reward: Model | None) -> tuple[Phase, ...]:
    if reward is None:
        return ()
    check_models(reward=reward)
    return (rollouts.score("reward", reward, asked=Integer(1)),)
