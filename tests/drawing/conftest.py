"""Turn a picture to every state, as a reader can."""

import itertools

import pytest


@pytest.fixture
def states():
    """Return the states of a picture, each with its frame."""

    def of(picture):
        names = [control.name for control in picture.controls]
        values = itertools.product(*(control.values for control in picture.controls))
        return [
            (dict(zip(names, state, strict=True)), frame) for state, frame in zip(values, picture.frames, strict=True)
        ]

    return of
