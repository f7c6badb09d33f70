"""Test the picture of singular values that become equal: each state's numbers are the formula's."""

import pytest

from flopbook.drawing import orthogonalize

MATRICES = [(3, 5), (7, 4)]


@pytest.fixture(scope="module")
def picture():
    return orthogonalize(MATRICES, [8, 16, 32])


def test_each_state_has_the_flops_of_its_steps_and_of_the_layer(picture, states):
    for state, frame in states(picture):
        rows, columns = map(int, state["matrix"].split(" × "))
        shorter, longer = sorted((rows, columns))
        shown = dict(frame.table.rows)
        taken = state["step"] * (4 * shorter**2 * longer + 2 * shorter**3)
        trained = 6 * state["tokens"] * rows * columns
        assert shown["FLOPs of the steps"] == taken
        assert shown["FLOPs of the layer's training step"] == trained
        if state["step"]:
            assert f"{taken / rows / columns:,.0f} FLOPs for each parameter, {taken / trained:.2%} of" in frame.sentence


def test_the_values_begin_with_a_norm_of_one_and_end_near_one(picture):
    def values(**state):
        rows = picture.frame(**state).table.rows
        return [float(amount) for name, amount in rows if name.startswith("singular value")]

    assert sum(value**2 for value in values()) == pytest.approx(1, abs=0.01)
    assert all(0.68 < value < 1.21 for value in values(step=5))
    assert min(values(step=5, factors="gentle")) < 0.2
    assert all(0.99 < value < 1.01 for value in values(step=10, factors="gentle"))


def test_a_step_is_that_of_a_matrix_with_these_singular_values(picture):
    before, after = (picture.frame(step=step).table.rows for step in (0, 1))
    for (_, x), (_, y) in zip(before[:12], after[:12], strict=True):
        assert float(y) == pytest.approx(3.4445 * float(x) - 4.775 * float(x) ** 3 + 2.0315 * float(x) ** 5, abs=0.003)


def test_it_opens_with_a_question(picture):
    assert picture.frame().sentence.endswith("How many FLOPs will 5 steps take for each parameter?")


@pytest.mark.parametrize("given", [(3,), (3, 5, 7), 3])
def test_what_is_no_matrix_is_quoted(given):
    with pytest.raises(ValueError, match="is not a matrix: write its rows and columns") as error:
        orthogonalize([(3, 5), given], [1, 2])
    assert repr(given) in str(error.value)


@pytest.mark.parametrize(("matrices", "tokens"), [([(0, 5), (3, 5)], [1, 2]), ([(3, 5), (5, 3)], [1, 2.5])])
def test_sizes_that_are_none_are_refused(matrices, tokens):
    with pytest.raises(ValueError, match="is not a size: write a whole number of at least 1"):
        orthogonalize(matrices, tokens)
