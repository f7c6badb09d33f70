"""Derive on paper what each specimen takes, without PyTorch.

Biases, norms, activations, embeddings and losses are not contractions, so they don't occur.
A tensor that no product makes has come through them.
Each file has its pair in `flopbook.specimens.in_torch`, and each function there the function of that name here.
"""

from flopbook.specimens.on_paper import (
    adapters,
    attention,
    convolutions,
    experts,
    models,
    products,
    recurrent,
    training,
)
