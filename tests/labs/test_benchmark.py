"""Test the benchmark of a small network: seeded, bounded in time, counted to the integer."""

import json
import runpy
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from flopbook.labs import benchmark as lab
from flopbook.labs.benchmark import Setup, benchmark, make_step, synthetic, to_json, train


@pytest.fixture(autouse=True)
def one_thread():
    """Use one thread, since so small a network only loses by more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_equal_seeds_give_equal_data_and_others_do_not():
    first, again, other = synthetic(100), synthetic(100), synthetic(100, seed=1)
    assert torch.equal(first.train.x, again.train.x) and torch.equal(first.test.y, again.test.y)
    assert not torch.equal(first.train.x, other.train.x)


def test_the_target_is_friedmans():
    part = synthetic(10_000).train
    x, y = part.x / 12**0.5 + 0.5, part.y[:, 0]
    clean = 10 * (torch.pi * x[:, 0] * x[:, 1]).sin() + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    correlation = torch.corrcoef(torch.stack([clean, y]))[0, 1]
    assert 0.9982 < correlation**2 < 0.9986  # the noise has 0.04² = 0.0016 of the variance, and no more
    assert abs(y.mean()) < 1e-5 and abs(y.std(correction=0) - 1) < 1e-5


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="samples=9: give 10 or more"):
        synthetic(9)


@pytest.mark.parametrize(
    "wrong, said",
    [
        (dict(batch=0), "batch=0: give a whole number, 1 or more"),
        (dict(batch=2.5), "batch=2.5: give a whole number"),
        (dict(epochs="3"), "epochs='3': give a whole number"),
        (dict(hidden=(8, 0)), r"hidden=\(8, 0\): give each"),
        (dict(hidden=64), r"hidden=64: give each layer 1 unit or more, as in \(64, 64\)"),
    ],
)
def test_a_setup_that_makes_no_sense_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Setup(**wrong)


def test_sizes_that_are_not_a_list_are_refused():
    with pytest.raises(TypeError) as error:
        benchmark(1000)
    assert str(error.value) == "samples=1000 is not a list of sizes: write benchmark([1_000, 5_000])"


@pytest.mark.parametrize("hidden", [(), (1,), (8, 3)])
@pytest.mark.parametrize("batch", [1, 7, 64])
def test_flops_of_a_training_by_formula(hidden, batch):
    (result,) = benchmark([50], Setup(hidden=hidden, batch=batch, epochs=2))
    weights = [a * b for a, b in pairwise((5, *hidden, 1))]
    assert result.flops == 2 * 30 * (6 * sum(weights) - 2 * weights[0])


def test_the_same_setup_trains_the_same():
    first, again = (benchmark([200], Setup(hidden=(8,), epochs=3))[0] for _ in range(2))
    assert (first.validation, first.test, first.peak_bytes) == (again.validation, again.test, again.peak_bytes)


def test_a_training_learns_and_puts_the_best_back():
    (result,) = benchmark([1000], Setup(seconds=60))
    assert result.test.r2 > 0.98


def test_it_stops_when_it_gets_no_better():
    (result,) = benchmark([50], Setup(hidden=(), learning_rate=1e-12, patience=2))
    assert result.epochs < 150 and result.stopped == "no better for 2 epochs"


def test_it_stops_when_the_time_is_over():
    parts, setup = synthetic(50), Setup(seconds=0)
    trained = train(make_step(setup, parts.train), parts, setup)
    assert (trained.epochs, trained.stopped) == (1, "0 s are over")


def test_json_holds_all():
    setup = Setup(hidden=(), epochs=1)
    content = json.loads(to_json(benchmark([20, 30], setup), setup))
    assert content["schema"] == "flopbook.benchmark/1"
    assert [result["samples"] for result in content["results"]] == [20, 30]
    assert set(content["results"][0]["test"]) == {"mse", "r2"}


@pytest.mark.parametrize("what, file", [("benchmark", "benchmark.json"), ("profile", "profile.json")])
def test_the_commands_fill_a_folder(what, file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["flopbook.labs", what, "--results", str(tmp_path / "results")])

    def for_an_epoch(samples, setup, progress):
        return benchmark(samples, replace(setup, epochs=1), progress)

    monkeypatch.setattr(lab, "benchmark", for_an_epoch)
    runpy.run_module("flopbook.labs", run_name="__main__")
    assert f"{file} is in" in capsys.readouterr().out and (tmp_path / "results" / file).is_file()
