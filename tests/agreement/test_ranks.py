"""Test one rank of many that train a Llama, on paper and counted, and the record of large ones."""

import importlib.util
import json
from pathlib import Path

import pytest

from flopbook.published import from_config, named
from reference.ranks import in_torch, on_paper

HERE = Path(__file__).parents[2] / "reference" / "ranks"
RECORD = json.loads((HERE.parent / "data" / "ranks.json").read_text(encoding="utf-8"))
CASES = RECORD["cases"]

#: Sizes that few meshes divide; a head is 14 wide.
SMALL = from_config(
    dict(
        model_type="llama", hidden_size=56, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=26, vocab_size=34,
    )
)  # fmt: skip
TIED = from_config(
    dict(
        model_type="llama", hidden_size=24, num_hidden_layers=2, num_attention_heads=12, num_key_value_heads=4,
        intermediate_size=20, vocab_size=44, tie_word_embeddings=True,
    )
)  # fmt: skip

MESHES = {
    "nobody else": on_paper.Case(SMALL, 1, batch=3, tokens=10),
    "data": on_paper.Case(SMALL, 5, batch=1, tokens=7),
    "data, the last rank": on_paper.Case(SMALL, 5, rank=4, batch=2, tokens=7),
    "data, recomputed": on_paper.Case(SMALL, 3, batch=2, tokens=11, recompute=True),
    "more ranks than rows": on_paper.Case(SMALL, 64, rank=60, batch=1, tokens=5),
    "tensor": on_paper.Case(SMALL, 2, 2, rank=1, batch=3, tokens=10),
    "tensor, recomputed": on_paper.Case(SMALL, 2, 2, batch=2, tokens=6, recompute=True),
    "data and tensor": on_paper.Case(SMALL, 6, 2, batch=1, tokens=10),
    "data and tensor, the last rank": on_paper.Case(SMALL, 10, 2, rank=9, batch=2, tokens=4),
    "data and tensor, recomputed": on_paper.Case(SMALL, 6, 2, rank=3, batch=2, tokens=8, recompute=True),
    "as many ranks along both": on_paper.Case(SMALL, 4, 2, batch=1, tokens=6),
    "1,024 ranks": on_paper.Case(SMALL, 1024, 2, rank=513, batch=1, tokens=6),
    "one table": on_paper.Case(TIED, 3, batch=2, tokens=7),
    "one table, tensor": on_paper.Case(TIED, 4, 4, rank=2, batch=2, tokens=8),
    "one table, both": on_paper.Case(TIED, 12, 4, batch=1, tokens=12, recompute=True),
}


def count(case, **options):
    return in_torch.count(
        case.sizes, ranks=case.ranks, tensor=case.tensor, rank=case.rank, recompute=case.recompute, **options
    )


@pytest.fixture(scope="module")
def counted():
    return {name: count(case) for name, case in MESHES.items()}


@pytest.mark.parametrize("name", MESHES)
def test_what_a_rank_runs_keeps_and_sends_is_predicted(counted, name):
    assert on_paper.predict(MESHES[name]) == counted[name][:3]


def test_other_ranks_keep_other_shares_and_other_meshes_send_other_bytes(counted):
    first, last = counted["data"], counted["data, the last rank"]
    assert first.bytes["parameters"] > last.bytes["parameters"]
    assert counted["data and tensor"].sent != counted["data and tensor, the last rank"].sent
    assert on_paper.predict(MESHES["tensor"]).flops != counted["tensor, recomputed"].flops


def test_pytorch_counts_layers_by_their_global_sizes():
    case = MESHES["tensor"]
    found = count(case, ask_pytorch=True)
    whole = on_paper.predict(on_paper.Case(case.network, 1, batch=case.batch, tokens=case.tokens))
    assert sum(found.flops.values()) < found.flop_counter_mode < sum(whole.flops.values())


@pytest.mark.parametrize("entry", CASES, ids=lambda entry: f"{entry['model']}, {entry['ranks']}, {entry['tensor']}")
def test_a_recorded_rank_is_predicted_and_was_counted_within_a_minute_and_a_gigabyte(entry):
    case, counted = on_paper.read(entry)
    assert on_paper.predict(case) == counted
    assert entry["seconds"] < 60 and entry["memory"] < 1e9


def test_the_record_says_when_and_with_what():
    said = {"recorded", "machine", "python", "torch", "units"}
    assert set(RECORD) == {"schema", "cases", *said} and RECORD["schema"] == 1 and all(RECORD[what] for what in said)
    assert {(case["model"], case["ranks"]) for case in CASES} == {
        ("Llama 3 8B", 8), ("Llama 3 8B", 64), ("Llama 3 70B", 64), ("Llama 3 70B", 1024), ("Llama 3.1 405B", 1024),
    }  # fmt: skip


def test_the_first_recorded_rank_is_counted_again():
    case, recorded = on_paper.read(CASES[0])
    assert on_paper.Rank(*count(case)[:3]) == recorded


REFUSED = {
    "tensor=7 does not divide ranks=64: give a size that divides 64": ("Llama 3 8B", dict(ranks=64, tensor=7)),
    "tensor=16 does not divide the 8 heads of keys and values of Llama 3 8B: give a size that divides 8": (
        "Llama 3 8B", dict(ranks=64, tensor=16),
    ),
    "tensor=3 does not divide the 8,192 tokens of a sequence of SmolLM2 135M: give a size that divides 8,192": (
        "SmolLM2 135M", dict(ranks=6, tensor=3),
    ),
    "rank=8 is not one of 8: give 0 to 7": ("Llama 3 8B", dict(ranks=8, rank=8)),
    "ranks=0 is not a size": ("Llama 3 8B", dict(ranks=0)),
    "GPT-2 is not built as a Llama, but as gpt2: give another model, such as Llama 3 8B": ("GPT-2", dict(ranks=8)),
    "'Llama 8B' is not a model that is known by name": ("Llama 8B", dict(ranks=8)),
}  # fmt: skip


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(sentence, command):
    model, options = REFUSED[sentence]
    with pytest.raises(SystemExit) as end:
        command(model, **options)
    assert str(end.value).startswith(sentence) and "\n" not in str(end.value)


def test_a_llama_with_biases_is_refused():
    biased = dict(model_type="llama", hidden_size=8, num_attention_heads=2, num_hidden_layers=1, attention_bias=True)
    with pytest.raises(ValueError, match="has parameters besides those of a Llama, such as biases"):
        on_paper.Case(from_config(biased), 2)


@pytest.fixture
def command(monkeypatch):
    """Run `python reference/ranks`, with what the paper says in place of a count."""
    monkeypatch.syspath_prepend(str(HERE))
    spec = importlib.util.spec_from_file_location("recording", HERE / "__main__.py")
    recording = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recording)

    def run(model, wrong=0, **options):
        def counted(case):
            flops, *rest = on_paper.predict(case)
            return in_torch.Counted({**flops, "forward": flops["forward"] + wrong}, *rest, None, 1.0, 10**8)

        monkeypatch.setattr(recording, "counted_alone", counted)
        given = [f"--{name}={value}" for name, value in options.items()]
        monkeypatch.setattr("sys.argv", ["reference/ranks", f"--model={model}", *given])
        recording.main()

    return run


def test_the_command_shows_what_is_predicted_and_counted_and_says_where_they_differ(command, capsys):
    with pytest.raises(SystemExit) as end:
        command("Llama 3 8B", ranks=64, tensor=8)
    printed = capsys.readouterr().out
    assert end.value.code is None and "Llama 3 8B, rank 0 of 64, tensor 8: 1 s, 100 MB" in printed
    predicted = on_paper.predict(on_paper.Case(named("Llama 3 8B").network, 64, 8))
    assert printed.count(f"{predicted.flops['backward']:,}") == 2
    with pytest.raises(SystemExit) as end:
        command("Llama 3 8B", wrong=1, ranks=64, tensor=8)
    assert end.value.code == "Predicted and counted differ."
