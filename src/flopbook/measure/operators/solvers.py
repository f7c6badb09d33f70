"""Count factorizations and solvers of linear algebra by their closed forms.

The forms are those of LAPACK Working Note 41 (Blackford and Dongarra,
"Installation Guide for LAPACK", appendix C), by which LAPACK's own timings,
PLASMA's and MAGMA's are reported: multiplications and additions apart, a
division and a root among the multiplications. Libraries work in blocks and
run a little more. A complex multiplication takes 6 FLOPs, an addition 2.
Eigenvalues and singular values have no closed form, for how often they
iterate depends on the numbers.
"""

import math
from typing import NamedTuple

from torch import Tensor

from flopbook.measure.operators.names import contraction


class _Work(NamedTuple):
    """Holds multiplications and additions in sixths: closed forms divide by 2, 3 and 6."""

    multiplications: int
    additions: int

    def also(self, other: "_Work") -> "_Work":
        return _Work(self.multiplications + other.multiplications, self.additions + other.additions)

    def flops(self, matrix: Tensor) -> int:
        """Return the FLOPs of all matrices of a batch."""
        multiplication, addition = (6, 2) if matrix.is_complex() else (1, 1)
        sixths = multiplication * self.multiplications + addition * self.additions
        return math.prod(matrix.shape[:-2]) * sixths // 6


def _cholesky(n: int) -> _Work:
    """POTRF: n^3/3 + n^2/2 + n/6 in all."""
    return _Work(n**3 + 3 * n**2 + 2 * n, n**3 - n)


def _lu(m: int, n: int) -> _Work:
    """GETRF: 2n^3/3 - n^2/2 + 5n/6 in all where the matrix is square.

    For each pivot k, its reciprocal, m - k products with it, and (m - k)(n - k)
    products that are subtracted; the note has this for m of at least n only.
    """
    k = min(m, n)
    products = 6 * k * m * n - 3 * (m + n) * k * (k + 1) + k * (k + 1) * (2 * k + 1)
    return _Work(products + 6 * k * m - 3 * k * (k + 1) + 6 * k, products)


def _solve_lu(n: int, columns: int) -> _Work:
    """GETRS: 2n^2 - n in all for each right-hand side."""
    return _Work(6 * columns * n**2, 6 * columns * n * (n - 1))


def _invert_lu(n: int) -> _Work:
    """GETRI: 4n^3/3 - n^2 + 5n/3 in all."""
    return _Work(4 * n**3 + 3 * n**2 + 5 * n, 4 * n**3 - 9 * n**2 + 5 * n)


def _qr(m: int, n: int) -> _Work:
    """GEQRF: 2mn^2 - 2n^3/3 and lower terms in all, where the matrix is tall.

    The note has a form for a tall matrix, and one for a wide one; with k reflections they are one.
    """
    k = min(m, n)
    products = 6 * k * m * n - 2 * k**3 + 6 * k * n - 3 * k**2
    return _Work(products + 6 * m * n + 23 * k, products + 5 * k)


def _make_q(m: int, n: int, k: int) -> _Work:
    """ORGQR: the first n columns of Q from k reflections."""
    products = 12 * m * n * k - 6 * (m + n) * k**2 + 4 * k**3
    return _Work(products + 12 * n * k - 6 * k**2 - 10 * k, products + 6 * (n - m) * k + 2 * k)


def _apply_q(m: int, n: int, k: int) -> _Work:
    """ORMQR, from the left: k reflections of m numbers, applied to n columns."""
    return _Work(6 * n * k * (2 * m - k + 2), 6 * n * k * (2 * m - k + 1))


def _triangle(n: int, columns: int) -> _Work:
    """TRSM: n^2 in all for each right-hand side."""
    return _Work(3 * columns * n * (n + 1), 3 * columns * n * (n - 1))


def _columns(matrix: Tensor, right: Tensor, left: bool = True) -> int:
    """Count the right-hand sides: columns, rows (matrix on the right), or one vector."""
    is_vector = right.dim() == 1 or (right.dim() == matrix.dim() - 1 and right.shape == matrix.shape[:-1])
    return 1 if is_vector else right.shape[-1 if left else -2]


@contraction("linalg_cholesky_ex", "cholesky")
def cholesky(out, matrix, *_, **__):
    """n^3/3 + n^2/2 + n/6 for an n x n matrix, by LAPACK Working Note 41."""
    return _cholesky(matrix.shape[-1]).flops(matrix)


@contraction("cholesky_solve", "_cholesky_solve_helper")
def cholesky_solve(out, right, matrix, *_, **__):
    """2n^2 for each right-hand side: two triangular solves, by LAPACK Working Note 41."""
    n, columns = right.shape[-2:]
    return _triangle(n, 2 * columns).flops(out)


@contraction("cholesky_inverse")
def cholesky_inverse(out, matrix, *_, **__):
    """2n^3/3 + n^2/2 + 5n/6 for an n x n matrix, by LAPACK Working Note 41."""
    n = matrix.shape[-1]
    return _Work(2 * n**3 + 6 * n**2 + 4 * n, 2 * n**3 - 3 * n**2 + n).flops(matrix)


@contraction("linalg_lu_factor_ex", "linalg_lu", "_linalg_slogdet")
def lu(out, matrix, *_, **__):
    """2n^3/3 - n^2/2 + 5n/6 for an n x n matrix, by LAPACK Working Note 41; the determinant's logarithms are not in."""
    return _lu(*matrix.shape[-2:]).flops(matrix)


@contraction("_linalg_det")
def determinant(out, matrix, *_, **__):
    """2n^3/3 - n^2/2 + 5n/6 for an n x n matrix, by LAPACK Working Note 41, and n - 1 to multiply the diagonal."""
    n = matrix.shape[-1]
    return _lu(n, n).also(_Work(6 * max(n - 1, 0), 0)).flops(matrix)


@contraction("linalg_lu_solve")
def lu_solve(out, factors, pivots, right, *, left=True, **__):
    """2n^2 - n for each right-hand side of a factorized n x n matrix, by LAPACK Working Note 41."""
    n = factors.shape[-1]
    return _solve_lu(n, right.shape[-1 if left else -2]).flops(out)


@contraction("_linalg_solve_ex")
def solve(out, matrix, right, *, left=True, **__):
    """2n^3/3 - n^2/2 + 5n/6 for an n x n matrix and 2n^2 - n for each right-hand side, by LAPACK Working Note 41."""
    n = matrix.shape[-1]
    batch = out[1]  # the factors: as many as there are systems
    return _lu(n, n).also(_solve_lu(n, _columns(matrix, right, left))).flops(batch)


@contraction("linalg_inv_ex")
def inverse(out, matrix, *_, **__):
    """2n^3 - 3n^2/2 + 5n/2 for an n x n matrix: LU and the inverse from it, by LAPACK Working Note 41."""
    n = matrix.shape[-1]
    return _lu(n, n).also(_invert_lu(n)).flops(matrix)


@contraction("linalg_qr")
def qr(out, matrix, mode="reduced"):
    """2mn^2 - 2n^3/3 and lower terms for a tall m x n matrix, and as much for Q, by LAPACK Working Note 41."""
    m, n = matrix.shape[-2:]
    work, columns = _qr(m, n), {"reduced": min(m, n), "complete": m, "r": 0}[mode]
    return (work.also(_make_q(m, columns, min(m, n))) if columns else work).flops(matrix)


@contraction("geqrf")
def reflections(out, matrix):
    """2mn^2 - 2n^3/3 and lower terms for a tall m x n matrix, by LAPACK Working Note 41."""
    return _qr(*matrix.shape[-2:]).flops(matrix)


@contraction("linalg_householder_product")
def householder_product(out, matrix, scales):
    """4mnk - 2(m + n)k^2 + 4k^3/3 and lower terms for k reflections, by LAPACK Working Note 41."""
    m, n = matrix.shape[-2:]
    return _make_q(m, n, scales.shape[-1]).flops(matrix)


@contraction("ormqr")
def apply_reflections(out, matrix, scales, other, left=True, *_):
    """4mnk - 2nk^2 and lower terms for k reflections of an m x n matrix, by LAPACK Working Note 41."""
    m, n = other.shape[-2:] if left else reversed(other.shape[-2:])
    return _apply_q(m, n, scales.shape[-1]).flops(other)


@contraction("linalg_solve_triangular")
def solve_triangular(out, matrix, right, *, left=True, **__):
    """n^2 for each right-hand side of a triangular n x n matrix, by LAPACK Working Note 41."""
    return _triangle(matrix.shape[-1], out.shape[-1 if left else -2]).flops(out)


@contraction("triangular_solve")
def old_solve_triangular(out, right, matrix, *_, **__):
    """n^2 for each right-hand side of a triangular n x n matrix, by LAPACK Working Note 41."""
    return _triangle(matrix.shape[-1], out[0].shape[-1]).flops(out[0])


@contraction("linalg_lstsq")
def least_squares(out, matrix, right, rcond=None, *, driver=None):
    """QR, reflections and a triangular solve, by LAPACK Working Note 41; with a driver other than gels not known."""
    if driver != "gels" and matrix.device.type != "cuda":
        return None  # the others pivot or iterate
    m, n = matrix.shape[-2:]
    columns, rank = _columns(matrix, right), min(m, n)
    return _qr(m, n).also(_apply_q(m, columns, rank)).also(_triangle(rank, columns)).flops(matrix)
