"""Predict what a step of post-training takes: phases in which a model reads, writes, scores or is trained."""

from typing import TYPE_CHECKING

from flopbook.lazy import export_lazily

if TYPE_CHECKING:
    from flopbook.predict.post_training.methods import distillation, dpo, grpo, ppo, rejection_sampling, supervised
    from flopbook.predict.post_training.models import adapted_decoder, asked_decoder, rule_of_six
    from flopbook.predict.post_training.phases import Phase, PostTraining
    from flopbook.predict.post_training.rollouts import Rollouts

__getattr__, __dir__, __all__ = export_lazily(__name__)
