"""Test what all published models have in common."""

import pytest

from flopbook.published import from_config
from flopbook.published.letters import LETTERS
from flopbook.published.on_paper import READERS
from tests.support.published import WITHOUT_DEFAULT


@pytest.mark.parametrize("model_type", READERS)
def test_each_letter_of_an_architecture_is_explained(model_type):
    named = {"_class_name" if model_type[0].isupper() else "model_type": model_type}
    network = from_config(named | WITHOUT_DEFAULT.get(model_type, {}))
    assert {*network.sizes, *network.free} <= LETTERS.keys()
    expressions = (network.dense.forward, network.needed.backward, network.dense.parameters, network.cache)
    assert {letter.name for each in expressions for letter in each.free_symbols} <= {*network.sizes, *network.free}
