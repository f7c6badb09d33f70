"""Test the sizes of published models against a second reading of their sources."""

import pytest

from flopbook.predict import evaluate
from flopbook.predict.models import decoder
from flopbook.predict.models.published import PUBLISHED, WITH_EXPERTS, WITH_WINDOWS

#: By name: layers, width, heads, heads of keys and values, width of a head, hidden width, vocabulary, context; matrices
#: of a feed-forward part, tables of the vocabulary. Then the parameters that the released weights have, or None.
SIZES = {
    "GPT-2 small": (12, 768, 12, 12, 64, 3072, 50_257, 1024, 2, 1, None),
    "GPT-3 175B": (96, 12_288, 96, 96, 128, 4 * 12_288, 50_257, 2048, 2, 1, None),
    "Llama 3 8B": (32, 4096, 32, 8, 128, 14_336, 128_256, 8192, 3, 2, 8_030_261_248),
    "Llama 3 70B": (80, 8192, 64, 8, 128, 28_672, 128_256, 8192, 3, 2, 70_553_706_496),
    "Llama 3 405B": (126, 16_384, 128, 8, 128, 53_248, 128_256, 8192, 3, 2, 405_853_388_800),
    "Mistral 7B": (32, 4096, 32, 8, 128, 14_336, 32_000, 8192, 3, 2, 7_241_732_096),
    "Mixtral 8x7B": (32, 4096, 32, 8, 128, 14_336, 32_000, 32_768, 3, 2, None),
}
MORE = {"Mistral 7B": {"W": 4096}, "Mixtral 8x7B": {"X": 8, "K": 2}}
LETTERS = ("L", "D", "H", "G", "E", "F", "V", "T", "matrices", "tables")


@pytest.mark.parametrize("name", SIZES | PUBLISHED | WITH_WINDOWS | WITH_EXPERTS)
def test_a_model_has_the_sizes_of_its_source(name):
    *sizes, parameters = SIZES[name]
    given = (PUBLISHED | WITH_WINDOWS | WITH_EXPERTS)[name]
    assert given == dict(zip(LETTERS, sizes, strict=True)) | MORE.get(name, {})
    if parameters:
        assert evaluate(decoder().parameters, given) == parameters
