"""Hold the table of published models to the models, and what a name opens to what is known."""

from fractions import Fraction

import pytest
from bs4 import BeautifulSoup

from flopbook.published import named
from flopbook.published.overview import for_a_sample, for_a_token, per_token, reads_on, sample

LLAMA, GPT2 = named("Llama 3 8B"), named("GPT-2")


def recorded(**changed):
    step = dict(B=2, T=7)
    network = LLAMA.network
    counted = dict(parameters=network.parameters, forward=network.forward(**step), backward=network.backward(**step))
    return {
        "torch": "2.x", "transformers": "5.x", "diffusers": "0.x", "traced": {"llama": {"forward": "2*B*D"}},
        "models": {LLAMA.name: {"sizes": step} | counted | changed, "BERT base": {"fails": "ValueError: <too long>"}},
    }  # fmt: skip


def shown(overview):
    return BeautifulSoup(overview._repr_html_(), "html.parser")


def test_a_token_takes_its_share_of_a_step():
    network = LLAMA.network
    dense, needed, cache = per_token(network, 1024)
    attention = 12 * 32 * 4096  # for each key that a query meets, forward and backward
    assert dense - needed == attention * Fraction(1023, 2)
    assert cache == 2 * 2 * 32 * 8 * 128


def test_a_window_leaves_less_for_each_token_of_a_long_text():
    network = named("Mistral 7B v0.1").network
    assert per_token(network, 1024)[2] == 32 * per_token(network, 131072)[2]


def test_a_text_may_be_longer_than_the_positions_of_a_model():
    assert per_token(GPT2.network, 1024) is not None
    assert per_token(GPT2.network, 1025) is None


@pytest.mark.parametrize(
    "name, reads",
    [("Mamba 2 2.7B", True), ("BERT base", False), ("T5 small", False), ("Whisper tiny", False), ("ViT-B/16", False)],
)
def test_a_model_reads_on_where_a_token_leaves_something_for_the_next(name, reads):
    assert reads_on(named(name).network) is reads


@pytest.mark.parametrize(
    "name, words, sizes",
    [
        ("ResNet-50", "an image of 224 × 224 × 3", dict(B=1, Ih=224, Iw=224)),
        ("CLIP ViT-B/32", "an image of 224 × 224 × 3, 77 tokens", dict(B=1, T=77)),
        ("T5 small", "512 tokens, 128 written", dict(B=1, T=512, U=128)),
        ("Whisper tiny", "1,500 moments of sound, 448 tokens", dict(B=1, T=448)),
        ("Stable Diffusion 1.5 UNet", "an image of 64 × 64 × 4, 77 tokens", dict(B=1, T=77)),
    ],
)
def test_a_sample_is_what_a_model_reads_as_a_whole(name, words, sizes):
    assert sample(named(name).network) == (words, sizes)


def test_a_row_has_a_number_for_each_length():
    overview = for_a_token([GPT2, LLAMA], recorded())
    gpt2, llama = shown(overview).select("tbody tr")
    assert [len(cell.find_all("data")) for cell in llama.select("td")] == [0, 1, 1, 4, 4, 4]
    values = [data["value"] for data in llama.select("td")[3].find_all("data")]
    assert values == [
        repr(float(per_token(LLAMA.network, length)[0] / 10**9)) for length in (1024, 8192, 32768, 131072)
    ]
    assert [data["value"] for data in gpt2.select("td")[3].find_all("data")][1:] == ["", "", ""]
    assert str(overview).splitlines()[2].split()[-3:] == ["57.9", "51.5", "131"]


def test_one_length_is_chosen_and_one_number_shown():
    box = shown(for_a_token([LLAMA], recorded()))
    (checked,) = box.select("input[checked]")
    assert checked.parent.text.strip() == "8,192"
    assert "data:not(:only-of-type) { display: none }" in box.style.string
    assert not shown(for_a_sample([named("ViT-B/16")], recorded())).select("input, style")


def test_a_name_opens_formula_sizes_witnesses_and_sources():
    card = shown(for_a_token([LLAMA], recorded(), [LLAMA.name])).select_one("[popover]")
    assert card["id"] == "model-llama-3-8b"
    assert "8,030,261,248 parameters" in card.text and card.text.count("as on paper") == 1
    assert "it writes this formula itself" in card.text
    assert "L = 32: layers" in card.text and len(card.find_all("math")) == 4
    addresses = [link["href"] for link in card.find_all("a")]
    assert LLAMA.published["source"] in addresses
    assert "calculator.html?model.model=Llama+3+8B#calculator-model" in addresses
    assert card.pre.string == "flopbook models 'Llama 3 8B'"


def test_what_is_not_as_on_paper_says_so():
    card = shown(for_a_token([LLAMA], recorded(forward=1))).select_one("[popover]")
    assert "not as on paper" in card.text
    assert not [link for link in card.find_all("a") if "calculator" in link["href"]]


def test_a_model_that_fails_says_why():
    card = shown(for_a_sample([named("BERT base")], recorded())).select_one("[popover]")
    assert "the library does not run it: ValueError: <too long>" in card.text


def test_a_long_formula_is_code():
    card = shown(for_a_sample([named("Swin tiny")], recorded())).select_one("[popover]")
    assert card.code and len(card.code.text) > 120
