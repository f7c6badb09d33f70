"""Build state spaces and hybrids of them.

A step is a training step, so nothing is kept for later tokens: where something is kept, the library pads sequences that
are shorter than a convolution. Without special kernels, the library runs its own PyTorch code: the scan of Mamba and
the sum of RWKV token by token, pointwise; other scans in chunks, by products.
"""

import torch
from torch import nn

from flopbook.published.in_library.built import Built
from flopbook.published.in_library.dense import all_tokens, causal_language_model
from flopbook.published.in_library.experts import with_batched_experts

#: Let attention be causal and no token be padding, where the library would look at values that a meta tensor has not.
NOT_PADDED = {"full_attention": None, "linear_attention": None}


def all_tokens_of_hybrid(model: nn.Module, *, B: int, T: int) -> torch.Tensor:
    """Add up what a model with both kinds of layers answers to B sequences of T tokens."""
    tokens = torch.zeros(B, T, dtype=torch.long)
    return model(input_ids=tokens, attention_mask=NOT_PADDED, use_cache=False).logits.float().sum()


HYBRID = Built(causal_language_model, all_tokens_of_hybrid)
HYBRID_WITH_EXPERTS = Built(with_batched_experts, all_tokens_of_hybrid)
STATE_SPACE = Built(causal_language_model, all_tokens)
BUILT = {
    "bamba": HYBRID,
    "falcon_h1": HYBRID,
    "falcon_mamba": STATE_SPACE,
    "jamba": HYBRID_WITH_EXPERTS,
    "mamba": STATE_SPACE,
    "mamba2": STATE_SPACE,
    "nemotron_h": HYBRID_WITH_EXPERTS,
    "qwen3_next": HYBRID_WITH_EXPERTS,
    "rwkv": STATE_SPACE,
}
