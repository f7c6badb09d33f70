"""Build the specimens as people write them, in PyTorch, without a formula.

A builder takes the sizes by name and returns the model and its inputs.
Each file has its pair in `flopbook.specimens.on_paper`.
"""

from flopbook.specimens.in_torch import (
    adapters,
    attention,
    convolutions,
    experts,
    models,
    products,
    recurrent,
    training,
)
