"""Build transformers that look at images through windows."""

from flopbook.published.in_library.built import Built
from flopbook.published.in_library.vision import all_classes, image_classifier

BUILT = {"swin": Built(image_classifier, all_classes)}
