"""Test factorizations and solvers against operations that are counted one by one."""

import pytest
import torch
from torch import linalg

from flopbook.measure.operators.registry import CONTRACTIONS

SIZES = [1, 2, 3, 5, 8]


def matrix(*shape, dtype=torch.float64):
    square = torch.eye(max(shape[-2:]), dtype=dtype)[: shape[-2], : shape[-1]]
    return 2 * square.expand(*shape) + 0.1


class Work:
    """Counts multiplications, divisions and roots, and additions apart."""

    def __init__(self):
        self.multiplications = self.additions = 0

    def multiply(self, times=1):
        self.multiplications += times

    def add(self, times=1):
        self.additions += times

    @property
    def flops(self):
        return self.multiplications + self.additions

    @property
    def complex_flops(self):
        return 6 * self.multiplications + 2 * self.additions


def cholesky(n):
    work = Work()
    for column in range(n):
        work.multiply()  # a root
        for row in range(column + 1, n):
            work.multiply()  # a division by it
            for _ in range(column + 1, row + 1):
                work.multiply()
                work.add()
    return work


def lu(m, n):
    work = Work()
    for column in range(min(m, n)):
        work.multiply()  # the pivot's reciprocal
        for _row in range(column + 1, m):
            work.multiply()
            for _ in range(column + 1, n):
                work.multiply()
                work.add()
    return work


def triangle(n, columns, unit=False):
    work = Work()
    for _ in range(columns):
        for row in range(n):
            work.multiply(row + (not unit))
            work.add(row)
    return work


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("batch", [(), (3,)])
def test_a_cholesky_factorization(count, n, batch):
    times = 3 if batch else 1
    assert count(lambda: linalg.cholesky(matrix(*batch, n, n))).forward == times * cholesky(n).flops


def test_the_note_gives_38024_for_a_cholesky_factorization_of_48(count):
    assert count(lambda: linalg.cholesky(matrix(48, 48))).forward == 38_024


@pytest.mark.parametrize(("m", "n"), [*zip(SIZES, SIZES, strict=True), (5, 3), (3, 5), (7, 1), (1, 7)])
def test_an_lu_factorization(count, m, n):
    expected = lu(min(m, n), n).flops if m < n else lu(m, n).flops
    assert count(lambda: linalg.lu_factor(matrix(m, n))).forward == expected


@pytest.mark.parametrize("n", SIZES)
def test_a_triangular_solve(count, n):
    upper, right = matrix(n, n).triu(), matrix(n, 3)
    assert count(lambda: linalg.solve_triangular(upper, right, upper=True)).forward == triangle(n, 3).flops == 3 * n * n
    turned = count(lambda: linalg.solve_triangular(upper, right.T, upper=True, left=False))
    assert turned.forward == 3 * n * n


@pytest.mark.parametrize("n", SIZES)
def test_a_solve_factorizes_and_solves_twice(count, n):
    """One of the two triangles has ones on its diagonal."""
    expected = lu(n, n).flops + triangle(n, 3, unit=True).flops + triangle(n, 3).flops
    a = matrix(n, n)
    assert count(lambda: linalg.solve(a, matrix(n, 3))).forward == expected
    assert count(lambda: linalg.solve(a, matrix(3, n), left=False)).forward == expected
    factors, pivots = linalg.lu_factor(a.expand(2, n, n))
    batch = matrix(3, n).expand(2, 3, n)
    solved = 2 * (triangle(n, 3, unit=True).flops + triangle(n, 3).flops)
    assert count(lambda: linalg.lu_solve(factors, pivots, batch, left=False)).forward == solved
    vector = lu(n, n).flops + triangle(n, 1, unit=True).flops + triangle(n, 1).flops
    assert count(lambda: linalg.solve(a, torch.ones(n, dtype=a.dtype))).forward == vector


def test_one_factorization_is_used_for_all_right_hand_sides(count):
    a = matrix(5, 5)
    factors, pivots = linalg.lu_factor(a)
    counted = count(lambda: linalg.lu_solve(factors, pivots, matrix(5, 3)))
    assert counted.forward == triangle(5, 3, unit=True).flops + triangle(5, 3).flops


def test_the_batch_of_systems_may_be_larger_than_that_of_matrices(count):
    lower = matrix(5, 5).tril()
    assert count(lambda: linalg.solve_triangular(lower, matrix(4, 5, 3), upper=False)).forward == 4 * 3 * 25


def test_one_matrix_on_the_right_of_a_batch_is_no_batch_of_vectors(count):
    one = count(lambda: linalg.solve(matrix(4, 4), matrix(4, 3))).forward
    assert count(lambda: linalg.solve(matrix(5, 4, 4), matrix(4, 3))).forward == 5 * one
    vectors = count(lambda: linalg.solve(matrix(5, 4, 4), matrix(5, 4))).forward
    assert vectors == 5 * count(lambda: linalg.solve(matrix(4, 4), matrix(4, 4)[0])).forward < 5 * one


@pytest.mark.parametrize("n", SIZES)
def test_a_cholesky_solve_runs_two_triangles(count, n):
    factor = linalg.cholesky(matrix(n, n))
    assert count(lambda: torch.cholesky_solve(matrix(n, 3), factor)).forward == 2 * triangle(n, 3).flops


@pytest.mark.parametrize("n", SIZES)
def test_a_determinant_factorizes_and_multiplies_the_diagonal(count, n):
    assert count(lambda: linalg.det(matrix(n, n))).forward == lu(n, n).flops + n - 1
    assert count(lambda: linalg.slogdet(matrix(n, n))).forward == lu(n, n).flops
    assert count(lambda: linalg.det(matrix(6, n, n))).forward == 6 * (lu(n, n).flops + n - 1)


@pytest.mark.parametrize("n", SIZES)
def test_an_inverse_takes_three_times_its_factorization(count, n):
    """GETRF and GETRI of the note: 2n^3 and lower terms."""
    assert count(lambda: linalg.inv(matrix(n, n))).forward * 2 == 4 * n**3 - 3 * n**2 + 5 * n


def note_of_qr(m, n):
    """Evaluate the note's fractions in floating point."""
    if m > n:
        return n * (n * (0.5 - n / 3 + m) + m + 23 / 6) + n * (n * (0.5 - n / 3 + m) + 5 / 6)
    return m * (m * (-0.5 - m / 3 + n) + 2 * n + 23 / 6) + m * (m * (-0.5 - m / 3 + n) + n + 5 / 6)


def note_of_q(m, n, k):
    multiplications = k * (2 * m * n + 2 * n - 5 / 3 + k * (2 / 3 * k - (m + n) - 1))
    return multiplications + k * (2 * m * n + n - m + 1 / 3 + k * (2 / 3 * k - (m + n)))


@pytest.mark.parametrize(("m", "n"), [(6, 4), (4, 4), (4, 6), (1, 1), (5, 1), (1, 5), (9, 7), (7, 9)])
def test_a_qr_factorization(count, m, n):
    k = min(m, n)
    modes = "r", "reduced", "complete"
    flops = {mode: count(lambda mode=mode: linalg.qr(matrix(m, n), mode)).forward for mode in modes}
    factors = note_of_qr(m, n)
    assert flops["r"] == pytest.approx(factors)
    assert flops["reduced"] == pytest.approx(factors + note_of_q(m, k, k))
    assert flops["complete"] == pytest.approx(factors + note_of_q(m, m, k))


def test_reflections_are_applied_without_being_written_out(count):
    reflections, scales = torch.geqrf(matrix(6, 4))
    left = count(lambda: torch.ormqr(reflections, scales, matrix(6, 3)))
    right = count(lambda: torch.ormqr(reflections, scales, matrix(3, 6), left=False))
    assert left.forward == right.forward == 4 * 3 * (2 * 6 + 2 - 4) + 4 * 3 * (2 * 6 + 1 - 4)


def test_the_reflections_of_each_matrix_of_a_batch_are_applied(count):
    both = [torch.stack([one, one]) for one in torch.geqrf(matrix(6, 4))]
    for left, other in (True, matrix(6, 3)), (False, matrix(3, 6)):
        one = count(lambda left=left, other=other: torch.ormqr(both[0][0], both[1][0], other, left=left)).forward
        batch = other.expand(2, *other.shape)
        assert count(lambda left=left, batch=batch: torch.ormqr(*both, batch, left=left)).forward == 2 * one


def test_least_squares_by_qr(count):
    counted = count(lambda: linalg.lstsq(matrix(6, 4), matrix(6, 3), driver="gels"))
    assert counted.forward == 208 + (4 * 3 * (2 * 6 + 2 - 4) + 4 * 3 * (2 * 6 + 1 - 4)) + 3 * 16


def test_least_squares_of_a_batch(count):
    def flops(*shapes):
        return count(lambda: linalg.lstsq(*(matrix(*shape) for shape in shapes), driver="gels")).total

    vector, three_columns = flops((6, 4), (6, 1)), flops((6, 4), (6, 3))
    assert flops((2, 6, 4), (2, 6)) == 2 * vector
    assert flops((6, 6, 4), (6, 3)) == 6 * three_columns  # one right-hand side for all systems


def test_least_squares_by_pivoting_are_not_known():
    from flopbook.measure import FlopCount  # noqa: PLC0415

    with pytest.warns(UserWarning, match="no rule for aten::linalg_lstsq"), FlopCount() as counted:
        linalg.lstsq(matrix(6, 4), matrix(6, 3))
    assert (counted.total, counted.uncounted) == (0, {"aten::linalg_lstsq": 1})


def test_a_complex_factorization_takes_6_flops_a_multiplication_and_2_an_addition(count):
    counted = count(lambda: linalg.cholesky(matrix(5, 5, dtype=torch.complex128)))
    assert counted.forward == cholesky(5).complex_flops


def test_backward_runs_products_and_triangles(count):
    """As PyTorch derives it: one product, and a triangular solve from either side."""
    a = matrix(5, 5).requires_grad_()
    assert count(lambda: linalg.cholesky(a).sum().backward()).backward == 2 * 5**3 + 2 * 5 * 25


@pytest.mark.parametrize("operator", [linalg.svd, linalg.eigh, linalg.eigvals, linalg.matrix_exp], ids=str)
def test_what_iterates_is_uncounted(operator):
    from flopbook.measure import FlopCount  # noqa: PLC0415

    with pytest.warns(UserWarning, match="no rule for"), FlopCount() as counted:
        operator(matrix(3, 3))
    assert counted.uncounted


def test_nothing_takes_nothing():
    empty = torch.empty(0, 0, device="meta")
    for name in ("linalg_cholesky_ex", "linalg_lu_factor_ex", "_linalg_det", "linalg_inv_ex", "linalg_qr", "geqrf"):
        assert CONTRACTIONS[f"aten::{name}"](None, empty) == 0
