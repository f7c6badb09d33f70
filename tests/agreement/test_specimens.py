"""Test that every specimen's count equals its derivation, phase by phase."""

import pytest
import torch

from flopbook.measure import FlopCount
from flopbook.predict import evaluate, flops
from flopbook.specimens import SPECIMENS

each = pytest.mark.parametrize("specimen", SPECIMENS, ids=str)


def counted(specimen):
    with FlopCount() as count:
        specimen.step()
    return count


def phases(witness):
    return witness.forward, witness.backward, witness.recomputed


@each
def test_count_is_the_derivation(specimen):
    count = counted(specimen)
    assert phases(count) == phases(specimen)
    assert count.uncounted == {}


@each
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # the reentrant checkpoint says so
def test_without_gradients_only_forward_counts(specimen):
    with torch.no_grad():
        count = counted(specimen)
    assert phases(count) == (specimen.forward, 0, 0)


@each
def test_meta_device(specimen):
    """Without its data nobody knows where a mixture's tokens go; attention is not fused there."""
    if specimen.name.startswith("Mixture"):
        pytest.skip("the experts are chosen by the data")
    with torch.device("meta"):
        count = counted(specimen)
    again = int(evaluate(flops(specimen.derivation.fused), specimen.letters))
    assert phases(count) == (specimen.forward, specimen.backward - again, specimen.recomputed)
    assert count.uncounted == {}


@each
def test_a_dropped_product_shows(specimen):
    count = counted(specimen)
    shortened = specimen.derivation.step.forward[1:]
    assert count.forward != evaluate(flops(shortened), specimen.letters)
