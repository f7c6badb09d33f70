"""Test the picture of a step on a mesh: the numbers of the plan, and what does not fit."""

import pytest

from flopbook.drawing import steps_on_meshes
from flopbook.predict.models import PUBLISHED
from flopbook.predict.parallel.planning import Cluster, plan
from flopbook.predict.parallel.ranks import Mesh, Training

SIZES = PUBLISHED["Llama 3 70B"] | dict(B=256)


@pytest.fixture(scope="module")
def picture():
    return steps_on_meshes(SIZES, 512, tensor=[1, 8], pipeline=[1, 2, 8], chunks=5)


def planned(state):
    mesh = Mesh(512 // state["tensor"] // state["pipeline"], state["tensor"], pipeline=state["pipeline"])
    several = 5 if state["pipeline"] > 1 and SIZES["B"] // mesh.data % state["pipeline"] == 0 else 1
    return plan(SIZES, mesh, Cluster(512), Training(checkpoints=state["checkpoints"], chunks=several))


def test_every_number_is_that_of_the_plan(picture, states):
    fits = set()
    for state, frame in states(picture):
        if "cannot be" in frame.sentence:
            continue
        one, shown = planned(state), dict(frame.table.rows)
        fullest = max(one.ranks, key=lambda rank: rank.held.total)
        assert shown["All bytes"] == f"{one.memory:,}" == f"{int(fullest.held.total):,}"
        assert sum(int(shown[f"Bytes of {kind}"].replace(",", "")) for kind in fullest.held._fields) == one.memory
        assert shown["Micro-batches"] == f"{fullest.micro_batches}"
        assert f"A step takes {one.seconds:.3g} s" in frame.sentence
        assert ("It fits" in frame.sentence) == (one.memory <= 80e9)
        fits.add(one.memory <= 80e9)
    assert fits == {True, False}


def test_the_parts_of_a_step_are_all_of_it(picture, states):
    for _, frame in states(picture):
        if "A step takes" in frame.sentence:
            *_, parts = frame.sentence.partition(" s: ")
            assert sum(float(part.split()[-1]) for part in parts.split("%")[:-1]) == pytest.approx(100, abs=0.16)


def test_more_copies_than_sequences_cannot_be(picture):
    frame = picture.frame(tensor=1, pipeline=1, checkpoints="none")
    assert frame.sentence.startswith("512 copies of 1 devices. That cannot be: a step has 256 sequences")
