"""Whole models by architecture: their products, and what follows for parameters, FLOPs and activations."""

from typing import TYPE_CHECKING

from flopbook.lazy import export_lazily

if TYPE_CHECKING:
    from flopbook.predict.models.adapters import FineTuning, dora, fine_tunings, lora, nf4_bytes, vectors
    from flopbook.predict.models.attention import (
        KEPT_FOR_A_TOKEN,
        around,
        causal,
        chunks,
        documents,
        latent_attention,
        latent_part,
        latent_piece,
        window,
    )
    from flopbook.predict.models.claims import CLAIMS, INVENTORIES, KINDS, TRAINERS, Claim, Inventory, inventory
    from flopbook.predict.models.convolutions import bottleneck_network, depthwise_separable, places, real_taps
    from flopbook.predict.models.experts import Filled, X, experts_layer, experts_part, fill, slots
    from flopbook.predict.models.masks import (
        CAUSAL,
        EVERY,
        Mask,
        causal_among,
        every,
        in_chunks,
        in_window,
        in_window_around,
    )
    from flopbook.predict.models.model import Amounts, Model
    from flopbook.predict.models.perceptron import linear_stack, mlp
    from flopbook.predict.models.published import PUBLISHED, WITH_EXPERTS, WITH_WINDOWS
    from flopbook.predict.models.recipes import RECIPES, Recipe, kept_bytes
    from flopbook.predict.models.recurrent import (
        chunk_sizes,
        chunked_scan,
        directions,
        gates,
        recurrent_layer,
        recurrent_scan,
        recurrent_stack,
    )
    from flopbook.predict.models.transformer import (
        attention_part,
        decoder,
        decoder_block,
        embedding,
        feed_forward_part,
        matrices,
        output_layer,
        tables,
    )

__getattr__, __dir__, __all__ = export_lazily(__name__)
