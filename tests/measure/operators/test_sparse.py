"""Test that products of sparse matrices multiply what is stored, and nothing else."""

import warnings

import pytest
import torch

pytestmark = pytest.mark.filterwarnings("ignore:Sparse")  # PyTorch announces that this is in beta

N, K, M = 4, 6, 5
#: 7 of 24 elements.
PLACES = [(0, 1), (0, 4), (1, 1), (2, 0), (2, 5), (3, 3), (3, 5)]


def dense(rows, columns, places):
    matrix = torch.zeros(rows, columns)
    for row, column in places:
        matrix[row, column] = 2
    return matrix


A = dense(N, K, PLACES)


def in_layout(matrix, layout):
    with warnings.catch_warnings(action="ignore"):
        blocks = ((2, 2),) if layout in {"bsr", "bsc"} else ()
        return getattr(matrix, f"to_sparse_{layout}")(*blocks)


def stored(layout):
    if layout not in {"bsr", "bsc"}:
        return len(PLACES)
    return 4 * len({(row // 2, column // 2) for row, column in PLACES})  # of a block, each element


LAYOUTS = ["coo", "csr", "csc", "bsr", "bsc"]


def test_blocks_store_more():
    assert (stored("coo"), stored("bsr")) == (7, 20)


@pytest.mark.parametrize("layout", ["coo", "csr", "csc", "bsr"])
def test_a_sparse_matrix_on_the_left(count, layout):
    sparse = in_layout(A, layout)
    assert count(lambda: sparse @ torch.ones(K, M)).forward == 2 * stored(layout) * M
    assert count(lambda: sparse @ torch.ones(K)).forward == 2 * stored(layout)
    added = count(lambda: torch.addmm(torch.ones(N, M), sparse, torch.ones(K, M)))
    assert (added.forward, added.pointwise["forward"]) == (2 * stored(layout) * M, N * M)


@pytest.mark.parametrize("layout", ["coo", "csr", "csc", "bsc"])
def test_a_sparse_matrix_on_the_right(count, layout):
    sparse = in_layout(A, layout)
    assert count(lambda: torch.ones(M, N) @ sparse).forward == 2 * stored(layout) * M
    assert count(lambda: torch.ones(N) @ sparse).forward == 2 * stored(layout)


def test_a_sparse_matrix_is_added_where_it_has_something(count):
    into, sparse = torch.ones(N, K), in_layout(A, "coo")
    assert count(lambda: into.add_(sparse)).pointwise["forward"] == len(PLACES)
    assert count(lambda: torch.add(into, sparse, alpha=3)).pointwise["forward"] == 2 * len(PLACES)


@pytest.mark.parametrize("layout", ["coo", "csr", "bsr"])
def test_a_sparse_weight(count, layout):
    weight = in_layout(A, layout)
    assert count(lambda: torch.nn.functional.linear(torch.ones(M, K), weight)).forward == 2 * stored(layout) * M


@pytest.mark.parametrize("columns", [0, 1, M])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_batch_of_sparse_matrices(count, batch, columns):
    sparse = torch.stack([A] * batch).to_sparse()
    assert count(lambda: torch.bmm(sparse, torch.ones(batch, K, columns))).forward == 2 * batch * 7 * columns


@pytest.mark.parametrize("layout", ["coo", "csr", "csc"])
def test_of_two_sparse_matrices_what_meets_is_multiplied(count, layout):
    other = [(1, 0), (1, 2), (4, 3), (5, 1), (2, 2)]
    met = sum(column == row for _, column in PLACES for row, _ in other)
    left, right = in_layout(A, layout), in_layout(dense(K, M, other), layout)
    assert count(lambda: left @ right).forward == 2 * met == 2 * (2 * 2 + 1 + 2)


@pytest.mark.parametrize("layout", ["coo", "csr", "csc"])
@pytest.mark.parametrize(("rows", "shared", "columns"), [(0, 4, 5), (3, 0, 5), (3, 4, 0), (0, 0, 0)])
def test_empty_axes_take_nothing(count, layout, rows, shared, columns):
    left = in_layout(torch.zeros(rows, shared), layout)
    assert count(lambda: left @ torch.ones(shared, columns)).forward == 0


@pytest.mark.parametrize("layout", ["coo", "csr", "csc"])
def test_nothing_stored_takes_nothing(count, layout):
    sparse = in_layout(torch.zeros(N, K), layout)
    assert count(lambda: sparse @ torch.ones(K, M)).forward == 0


def test_a_product_that_is_sampled_sums_what_the_result_stores(count):
    places = in_layout(torch.eye(4), "csr")
    sampled = count(lambda: torch.sparse.sampled_addmm(places, torch.ones(4, 5), torch.ones(5, 4)))
    assert sampled.forward == 2 * 4 * 5
    both = in_layout(torch.eye(4).expand(2, 4, 4), "csr")
    of_batch = count(lambda: torch.sparse.sampled_addmm(both, torch.ones(2, 4, 5), torch.ones(2, 5, 4)))
    assert of_batch.forward == 2 * 2 * 4 * 5


@pytest.mark.parametrize("reduction", ["sum", "mean", "amax"])
def test_a_product_that_is_reduced_otherwise(count, reduction):
    sparse, x = in_layout(A, "csr"), torch.ones(K, M, requires_grad=True)
    counted = count(lambda: torch.sparse.mm(sparse, x, reduction).sum().backward())
    assert (counted.forward, counted.backward) == (2 * 7 * M, 2 * 7 * M)


@pytest.mark.parametrize("product", [torch.smm, torch.hspmm], ids=["smm", "hspmm"])
def test_products_whose_result_is_sparse(count, product):
    sparse = in_layout(A, "coo")
    assert count(lambda: product(sparse, torch.ones(K, M))).forward == 2 * 7 * M


def test_backward_of_a_sparse_product(count):
    """The dense operand's gradient multiplies what is stored; the sparse one's runs dense, and is cut afterwards."""
    sparse, x = in_layout(A, "coo").requires_grad_(), torch.ones(K, M, requires_grad=True)
    counted = count(lambda: torch.sparse.mm(sparse, x).sum().backward())
    assert counted.backward == 2 * 7 * M + 2 * N * K * M


def test_pointwise_arithmetic_runs_on_what_is_stored(count):
    sparse = in_layout(A, "coo").coalesce()
    assert count(lambda: sparse * sparse).pointwise["forward"] == 7
    assert count(lambda: torch.sparse.softmax(sparse, 1)).pointwise["forward"] == 5 * 7


def test_a_product_of_sparse_matrices_without_data_is_not_known():
    from flopbook.measure.operators.registry import CONTRACTIONS  # noqa: PLC0415

    places = torch.empty(2, 3, dtype=torch.int64, device="meta")
    sparse = torch.sparse_coo_tensor(places, torch.empty(3, device="meta"), (4, 4), check_invariants=False)
    assert CONTRACTIONS["aten::mm"](None, sparse, sparse) is None
