"""Derive the architectures that people train, from their configurations.

A file holds a family, and its `READERS` a function for each ``model_type``. A reader takes a configuration, reads each
key that changes FLOPs, parameters or bytes, and returns the parts of the model and the sizes of their letters. Each
file has its pair in `flopbook.published.in_library`, which builds the same models with the library that people use.
"""

from flopbook.published.on_paper import (
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

#: The readers of models of images, none of which writes a text on.
OF_IMAGES = {**convolutional.READERS, **diffusion.READERS, **shifted_windows.READERS, **vision.READERS}
#: The reader of each ``model_type``.
READERS = {
    **OF_IMAGES,
    **dense.READERS,
    **encoders.READERS,
    **experts.READERS,
    **hybrids.READERS,
    **speech.READERS,
}
