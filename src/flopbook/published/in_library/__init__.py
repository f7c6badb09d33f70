"""Build the architectures with the library that people use, without a formula.

A file holds the family that the file of the same name in `flopbook.published.on_paper` derives. Its `BUILT` says for
each ``model_type`` how the model is built and what a step runs.
"""

from flopbook.published.in_library import (
    convolutional,
    dense,
    diffusion,
    encoders,
    experts,
    hybrids,
    shifted_windows,
    speech,
    vision,
)

#: How each ``model_type`` is built and run.
BUILT = {
    **convolutional.BUILT,
    **dense.BUILT,
    **diffusion.BUILT,
    **encoders.BUILT,
    **experts.BUILT,
    **hybrids.BUILT,
    **shifted_windows.BUILT,
    **speech.BUILT,
    **vision.BUILT,
}
