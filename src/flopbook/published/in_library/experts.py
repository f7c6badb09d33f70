"""Build decoders whose tokens choose among experts.

The library runs experts in a loop, in one grouped product, or in one batched product. A loop needs to know which
experts were chosen, and the grouped product needs bfloat16 and widths that divide; so here it is the batched product,
which gathers the weights of each row. All multiply the same. Llama 4 has a batched product of its own, in which every
token meets all experts.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers import AutoModelForCausalLM

from flopbook.published.in_library.built import Built
from flopbook.published.in_library.dense import DECODER, all_tokens, with_cache


def with_batched_experts(config: Mapping[str, Any]) -> nn.Module:
    """Build a model that predicts the next token, and whose experts run in one batched product."""
    return AutoModelForCausalLM.from_config(with_cache(config), experts_implementation="batched_mm")


EXPERTS = Built(with_batched_experts, all_tokens)
BUILT = dict.fromkeys(("mixtral", "qwen3_moe", "olmoe", "gpt_oss", "deepseek_v2", "deepseek_v3"), EXPERTS)
BUILT["llama4_text"] = DECODER
