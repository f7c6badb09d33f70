"""Test products and convolutions that take fewer FLOPs, run and counted: predicted == counted, and the same numbers."""

from math import ceil

import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from flopbook.comparison import compare
from flopbook.measure import FlopCount
from flopbook.measure.operators import CONTRACTIONS
from flopbook.predict import D, K, axis, evaluate, flops, matmul, training_step
from flopbook.predict.fast_convolutions import (
    direct_convolution,
    fft_convolution,
    fft_flops,
    tile_convolution,
    tile_transforms,
)
from flopbook.predict.fast_products import SCHEMES, exponent, fast_product, halvings, ordinary_product, padded
from flopbook.predict.sparse_products import (
    block_bytes,
    break_even_density,
    break_even_rank,
    csr_bytes,
    empty_blocks,
    low_rank,
    n_of_m_bytes,
    stored_flops,
)
from flopbook.tracing import trace

# ruff: noqa: PLR0913, PLR0917  (the arguments and names are those of the formulas)

few = settings(max_examples=12)
small = st.integers(1, 5)
PRODUCT = matmul("x[B,D] @ w[D,K] -> y[B,K]")


def quarters(matrix):
    rows, columns = (size // 2 for size in matrix.shape)
    return matrix[:rows, :columns], matrix[:rows, columns:], matrix[rows:, :columns], matrix[rows:, columns:]


def joined(c11, c12, c21, c22):
    return torch.cat([torch.cat([c11, c12], 1), torch.cat([c21, c22], 1)])


def strassen(x, w, levels):
    """Multiply as Strassen wrote it, without a look at the scheme."""
    if not levels:
        return x @ w
    (a, b, c, d), (e, f, g, h) = quarters(x), quarters(w)
    one = strassen(a + d, e + h, levels - 1)
    two = strassen(c + d, e, levels - 1)
    three = strassen(a, f - h, levels - 1)
    four = strassen(d, g - e, levels - 1)
    five = strassen(a + b, h, levels - 1)
    six = strassen(c - a, e + f, levels - 1)
    seven = strassen(b - d, g + h, levels - 1)
    return joined(one + four - five + seven, three + five, two + four, one - two + three + six)


def winograd(x, w, levels):
    """Multiply as Winograd did, with 15 sums, without a look at the scheme."""
    if not levels:
        return x @ w
    (a, b, c, d), (e, f, g, h) = quarters(x), quarters(w)
    below = c + d
    left = below - a
    right = f - e
    corner = h - right
    first = winograd(a, e, levels - 1)
    third = first + winograd(left, corner, levels - 1)
    fifth = winograd(below, right, levels - 1)
    fourth = third + winograd(a - c, h - f, levels - 1)
    return joined(
        first + winograd(b, g, levels - 1),
        third + fifth + winograd(b - left, h, levels - 1),
        fourth - winograd(d, corner - g, levels - 1),
        fourth + fifth,
    )


RUN = {"Strassen": strassen, "Winograd": winograd}


@pytest.mark.parametrize("scheme", SCHEMES)
@few
@given(sizes=st.tuples(small, small, small), levels=st.integers(0, 2))
def test_a_product_of_quarters_runs_what_its_formula_says_and_gives_the_product(scheme, sizes, levels):
    B, D, K = (size * 2**levels for size in sizes)
    x, w = (torch.randn(*shape, dtype=torch.float64) for shape in ((B, D), (D, K)))
    with FlopCount() as counted:
        y = RUN[scheme](x, w, levels)
    torch.testing.assert_close(y, x @ w)
    work = fast_product(B, D, K, scheme, levels)
    assert (counted.total, counted.pointwise["forward"]) == (2 * work.multiplications, work.around)
    assert work.flops == counted.total + counted.pointwise["forward"]
    assert work.multiplications - work.additions == 7**levels * sizes[0] * sizes[2]
    if levels:
        other = fast_product(B, D, K, next(name for name in SCHEMES if name != scheme), levels)
        assert work.around != other.around and work.multiplications == other.multiplications


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_lines_of_a_scheme_are_the_product_also_where_order_matters(scheme):
    a, b = (sympy.symbols(f"{letter}11 {letter}12 {letter}21 {letter}22", commutative=False) for letter in "ab")
    made = SCHEMES[scheme].run(a, b)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        product = a[2 * row] * b[column] + a[2 * row + 1] * b[2 + column]
        assert sympy.expand(made[f"c{row + 1}{column + 1}"] - product) == 0


def test_one_level_begins_to_save_where_the_field_says():
    n = axis("n")
    for scheme, by_convention, exactly in (("Strassen", 18, 15), ("Winograd", 15, 12)):
        fast, ordinary = fast_product(n, n, n, scheme), ordinary_product(n, n, n)
        assert sympy.solve(fast.flops - ordinary.flops, n) == [by_convention]
        assert sympy.solve(fast.exact - ordinary.exact, n) == [exactly]


@given(level=st.integers(0, 12))
def test_cut_down_to_single_numbers_a_scheme_takes_its_closed_form(level):
    n = 2**level
    assert fast_product(n, n, n, levels=level).exact == 7 * 7**level - 6 * 4**level
    assert fast_product(n, n, n, "Winograd", level).exact == 6 * 7**level - 5 * 4**level


@few
@given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=3), cutoff=st.integers(1, 40))
def test_a_cutoff_leaves_no_side_shorter(sizes, cutoff):
    levels = halvings(*sizes, cutoff=cutoff)
    assert all(size % 2**levels == 0 for size in sizes)
    assert not levels or min(sizes) >= cutoff * 2**levels
    assert any(size % 2 ** (levels + 1) or size < cutoff * 2 ** (levels + 1) for size in sizes)


@few
@given(sizes=st.tuples(*[st.integers(1, 20)] * 3), levels=st.integers(0, 3))
def test_padded_with_zeros_any_product_can_be_cut(sizes, levels):
    B, D, K = sizes
    wide = [padded(size, levels) for size in sizes]
    x, w = torch.randn(B, D, dtype=torch.float64), torch.randn(D, K, dtype=torch.float64)
    larger = functional.pad(x, (0, wide[1] - D, 0, wide[0] - B)), functional.pad(w, (0, wide[2] - K, 0, wide[1] - D))
    with FlopCount() as counted:
        y = strassen(*larger, levels)
    torch.testing.assert_close(y[:B, :K], x @ w)
    assert counted.total + counted.pointwise["forward"] == fast_product(*wide, levels=levels).flops


def test_fewer_products_of_blocks_grow_more_slowly():
    assert float(exponent(49, 4)) == pytest.approx(float(exponent(7, 2)))
    assert round(float(exponent(48, 4)), 3) == 2.792 and round(float(exponent(47, 4)), 3) == 2.777


def transformed(matrix, block, axis):
    """Multiply a matrix along an axis, row by row: 0 and 1 cost nothing."""
    rows = []
    for row in matrix.tolist():
        terms = sorted(
            ((float(factor), place) for place, factor in enumerate(row) if factor), key=lambda term: -term[0]
        )
        total = None
        for factor, place in terms:
            part = block.select(axis, place)
            if abs(factor) != 1:
                part = part * factor
                total = part if total is None else total + part
            elif total is None:
                total = part if factor > 0 else -part
            else:
                total = total + part if factor > 0 else total - part
        rows.append(total)
    return torch.stack(rows, axis)


def by_tiles(image, weight, transforms):
    """Convolve tile by tile, in one or two dimensions."""
    rank, m, r = image.dim() - 2, transforms.outputs, transforms.taps
    places = [size - r + 1 for size in image.shape[2:]]
    tiles = functional.pad(image, [p for size in reversed(places) for p in (0, -size % m)])
    for axis_ in range(2, 2 + rank):
        tiles = tiles.unfold(axis_, transforms.side, m)
    kernel = weight
    for axis_ in range(-rank, 0):
        tiles, kernel = transformed(transforms.data, tiles, axis_), transformed(transforms.kernel, kernel, axis_)
    numbers = transforms.side**rank
    flat = tiles.flatten(-rank).flatten(2, -2).permute(3, 1, 0, 2).flatten(2)  # number, channel, tile
    summed = (kernel.flatten(2).permute(2, 0, 1) @ flat).unflatten(2, (len(image), -1))
    result = summed.permute(2, 1, 3, 0).unflatten(3, [transforms.side] * rank)
    assert len(summed) == numbers
    for axis_ in range(-rank, 0):
        result = transformed(transforms.result, result, axis_)
    counts = [ceil(size / m) for size in places]
    if rank == 1:
        return result.flatten(2)[..., : places[0]]
    return result.unflatten(2, counts).transpose(3, 4).flatten(4).flatten(2, 3)[..., : places[0], : places[1]]


@few
@given(
    m=st.integers(1, 5), r=st.integers(1, 4), rank=st.integers(1, 2), B=st.integers(1, 2), C=small, K=small,
    more=st.tuples(st.integers(0, 6), st.integers(0, 6)),
)  # fmt: skip
def test_a_convolution_by_tiles_runs_what_its_formula_says_and_gives_the_convolution(m, r, rank, B, C, K, more):
    transforms = tile_transforms(m, r)
    image = torch.randn(B, C, *(r + each for each in more[:rank]), dtype=torch.float64)
    weight = torch.randn(K, C, *[r] * rank, dtype=torch.float64)
    with FlopCount() as counted:
        y = by_tiles(image, weight, transforms)
    direct = (functional.conv1d, functional.conv2d)[rank - 1]
    with FlopCount() as counted_directly:
        expected = direct(image, weight)
    torch.testing.assert_close(y, expected, rtol=1e-8, atol=1e-8)
    places = [each + 1 for each in more[:rank]]
    work = tile_convolution(B, C, K, places, transforms)
    assert (counted.total, counted.pointwise["forward"]) == (2 * work.multiplications, work.around)
    directly = direct_convolution(B, C, K, places, [r] * rank)
    assert counted_directly.total == directly.flops
    assert directly.multiplications - directly.additions == expected.numel()
    if m > 1 < r:
        assert work.flops != tile_convolution(B, C, K, places, tile_transforms(m + 1, r)).flops


def test_tiles_save_and_cost_what_the_paper_says():
    """Lavin and Gray, section 4: 36 / 16 and 144 / 36 multiplications; 32 and 24 additions for data and result."""
    small_tile, large_tile = tile_transforms(2, 3), tile_transforms(4, 3)
    assert (small_tile.saving(), large_tile.saving(), small_tile.saving(1)) == (sympy.Rational(9, 4), 4, 1.5)
    assert small_tile.around()[::2] == (32, 24) and small_tile.around(1)[::2] == (4, 4)


@few
@given(
    B=st.integers(1, 2), C=small, K=small, image=st.tuples(st.integers(3, 9), st.integers(3, 9)), r=st.integers(1, 3)
)
def test_a_convolution_through_fourier_transforms(B, C, K, image, r):
    x = torch.randn(B, C, *image, dtype=torch.float64)
    weight = torch.randn(K, C, r, r, dtype=torch.float64)
    with FlopCount() as counted:
        of_image, of_kernel = torch.fft.rfft2(x), torch.fft.rfft2(weight.flip(2, 3), s=image)
        products = of_image.permute(2, 3, 0, 1) @ of_kernel.permute(2, 3, 1, 0)
        y = torch.fft.irfft2(products.permute(2, 3, 0, 1), s=image)[..., r - 1 :, r - 1 :]
    torch.testing.assert_close(y, functional.conv2d(x, weight))
    work = fft_convolution(B, C, K, image)
    assert counted.total == work.flops == 2 * work.multiplications + work.around
    assert work.additions == work.multiplications - 2 * B * K * image[0] * (image[1] // 2 + 1)


@few
@given(B=small, C=small, K=small, image=st.lists(st.integers(1, 6), min_size=1, max_size=3))
def test_a_real_image_keeps_so_many_frequencies_along_any_number_of_axes(B, C, K, image):
    frequencies = torch.fft.rfftn(torch.ones(image)).numel()
    assert fft_convolution(B, C, K, image).multiplications == 4 * B * C * K * frequencies


def test_there_are_points_for_ten_numbers_of_a_tile():
    assert tile_transforms(8, 3).side == tile_transforms(3, 8).side == 10


@few
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=2))
def test_a_fourier_transform_counts_by_its_convention(sizes):
    values = torch.ones(sizes)
    with FlopCount() as of_complex:
        torch.fft.fftn(values.to(torch.complex64))
    with FlopCount() as of_real:
        torch.fft.rfftn(values)
    assert (of_complex.total, of_real.total) == (fft_flops(*sizes), fft_flops(*sizes, real=True))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning", "ignore:Sparse invariant:UserWarning")
@few
@given(B=small, D=st.integers(1, 9), K=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_sparse_product_takes_what_is_stored(B, D, K, seed):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(K, D, generator=generator) * (torch.rand(K, D, generator=generator) < 0.4)
    sparse, x = weight.to_sparse_csr(), torch.randn(D, B)
    with FlopCount() as counted:
        y = sparse @ x
    torch.testing.assert_close(y, weight @ x)
    stored = int(weight.count_nonzero())
    assert evaluate(stored_flops(PRODUCT, "w", stored), dict(B=B)) == counted.total
    held = sparse.values(), sparse.col_indices(), sparse.crow_indices()
    assert csr_bytes(K, stored) == sum(tensor.nbytes for tensor in held)


@pytest.mark.filterwarnings("ignore:Sparse BSR tensor support:UserWarning", "ignore:Sparse invariant:UserWarning")
@few
@given(B=small, rows=small, columns=small, side=st.integers(1, 3), seed=st.integers(0, 99))
def test_a_product_of_blocks_takes_whole_blocks(B, rows, columns, side, seed):
    generator = torch.Generator().manual_seed(seed)
    there = torch.rand(rows, columns, generator=generator) < 0.5
    weight = torch.ones(rows * side, columns * side) * there.repeat_interleave(side, 0).repeat_interleave(side, 1)
    sparse = weight.to_sparse_bsr(side)
    with FlopCount() as counted:
        sparse @ torch.ones(columns * side, B)
    blocks = int(there.sum())
    assert evaluate(stored_flops(PRODUCT, "w", blocks * side**2), dict(B=B)) == counted.total
    held = sparse.values(), sparse.col_indices(), sparse.crow_indices()
    assert block_bytes(rows, blocks, side**2) == sum(tensor.nbytes for tensor in held)


def test_two_of_four_numbers_take_half_of_the_flops():
    """No processor here runs it, so the counter's rule is asked; stored are half of the weight's columns."""
    rule, kept, places = CONTRACTIONS["aten::_sparse_semi_structured_mm"], torch.empty(24, 20), torch.empty(24, 5)
    weight = matmul("w[K,D] @ x[D,B] -> y[K,B]")
    halved = stored_flops(weight, "w", D * K / 2)
    assert rule(None, kept, places, torch.empty(40, 7)) == evaluate(halved, dict(B=7, D=40, K=24))
    assert 2 * halved == weight.flops and n_of_m_bytes(D * K) == sympy.Rational(9, 8) * D * K


@few
@given(B=small, D=small, K=small, R=small)
def test_two_narrow_weights(B, D, K, R):
    x, first, second = (torch.ones(*shape, requires_grad=True) for shape in ((B, D), (D, R), (R, K)))
    with FlopCount() as counted:
        (x @ first @ second).sum().backward()
    step = training_step(*low_rank(PRODUCT))
    sizes = dict(B=B, D=D, K=K, R=R)
    assert compare(step, counted, sizes=sizes).agrees
    rank = break_even_rank(PRODUCT)
    fewer = evaluate(flops(step.forward), sizes) < evaluate(PRODUCT.flops, sizes)
    assert fewer == (evaluate(rank, sizes) > R)
    assert not compare(training_step(PRODUCT), counted, sizes=sizes).agrees


def test_a_model_of_narrow_weights_writes_its_formula():
    traced = trace(
        lambda D, R, K: torch.nn.Sequential(torch.nn.Linear(D, R, bias=False), torch.nn.Linear(R, K, bias=False)),
        lambda B, D: torch.empty((B, D)),
        sizes=dict(B=3, D=5, R=2, K=7),
    )
    step = training_step(*low_rank(PRODUCT), data="x")
    assert sympy.expand(traced.forward - flops(step.forward)) == 0
    assert sympy.expand(traced.backward - flops(step.backward)) == 0


def test_low_rank_follows_the_letters_of_any_weight():
    heads = matmul("x[B,T,D] @ w[D,H,E] -> q[B,T,H,E]")
    first, second = low_rank(heads, "C")
    assert (f"{first.right}", f"{second.right}") == ("w1[D,C]", "w2[C,H,E]")
    H, E = axis("H"), axis("E")
    assert break_even_rank(heads) == D * H * E / (D + H * E)


def test_numbers_left_out_at_random_leave_few_blocks_empty():
    torch.manual_seed(0)
    blocks = (torch.rand(20_000, 4) < 0.25).any(1)
    assert abs(float(1 - blocks.double().mean()) - float(empty_blocks(0.25, 4))) < 0.01
    assert break_even_density(2, 8) == sympy.Rational(1, 5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fast_product(36, 20, 8, levels=3), "B=36 cannot be halved 3 times: take fewer levels, or pad it with"),
        (lambda: fast_product(8, 8, 0), "K=0 is not a size: write a whole number of at least 1"),
        (lambda: fast_product(8, 8, 8, levels=-1), "levels=-1 is not a size: write a whole number of at least 0"),
        (lambda: fast_product(8, 8, 8, "strasen"), "scheme='strasen' is not known; did you mean 'Strassen'?"),
        (lambda: ordinary_product(2, -3, 4), "D=-3 is not a size"),
        (lambda: padded(0, 2), "size=0 is not a size"),
        (lambda: halvings(cutoff=4), "no sizes are given: write halvings"),
        (lambda: halvings(8, cutoff=0), "cutoff=0 is not a size"),
        (lambda: exponent(7, 1), "side=1 is not a size: write a whole number of at least 2"),
        (lambda: tile_transforms(8, 5), "outputs=8 and taps=5 need 11 points, and there are 9: take fewer outputs"),
        (lambda: tile_transforms(8, 4), "outputs=8 and taps=4 need 10 points, and there are 9"),
        (lambda: tile_transforms(2, 0), "taps=0 is not a size"),
        (lambda: direct_convolution(0, 1, 1, [4], [3]), "B=0 is not a size"),
        (lambda: tile_convolution(1, 0, 1, [4], tile_transforms(2, 3)), "C=0 is not a size"),
        (lambda: fft_convolution(1, 1, 0, [4]), "K=0 is not a size"),
        (lambda: direct_convolution(1, 1, 1, [4], [3, 3]), r"places=\[4\] and taps=\[3, 3\] need a size for each axis"),
        (lambda: tile_convolution(1, 1, 1, [4, 0], tile_transforms(2, 3)), r"places\[1\]=0 is not a size"),
        (lambda: fft_convolution(1, 1, 1, [-4]), r"image\[0\]=-4 is not a size"),
        (lambda: fft_convolution(1, 1, 1, []), r"image=\[\] need a size for each axis: write image=\[8, 8\]"),
        (lambda: fft_convolution(1, 1, 1, 8), r"image=8 are not sizes along axes: write image=\[8, 8\]"),
        (fft_flops, "no sizes are given: write fft_flops"),
        (lambda: stored_flops(PRODUCT, "v", 3), "operand='v' is not known"),
        (lambda: stored_flops(PRODUCT, "w", -3), "stored=-3 is not a size"),
        (lambda: csr_bytes(3, 5, number_bytes=0), "number_bytes=0 is not a size"),
        (lambda: n_of_m_bytes(10), "numbers=10 are not groups of m=4: give a multiple of 4"),
        (lambda: n_of_m_bytes(8, n=5), "n=5 of m=4 cannot be stored: give an n of at most 4"),
        (lambda: empty_blocks(1.5, 4), "density=1.5 is not a share: write a number from 0 to 1"),
        (lambda: low_rank(PRODUCT, "K"), "rank='K' is a letter of x"),
        (lambda: low_rank(matmul("x[B,G,D] @ w[G,D,K] -> y[B,G,K]")), "has G everywhere, so its weight is several"),
    ],
)  # fmt: skip
def test_what_cannot_be_predicted_is_quoted(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fast_product("8", 8, 8), "B='8' is not an amount"),
        (lambda: fast_product(8, 8.0, 8), "D=8.0 is not an amount"),
        (lambda: tile_convolution(1, 1, 1, [4, 4], (2, 3)), r"transforms=\(2, 3\) are not transforms: write tile_tr"),
        (lambda: low_rank("x @ w"), "'x @ w' is not a product"),
        (lambda: break_even_rank(None), "None is not a product"),
    ],
)
def test_what_is_of_another_kind_is_refused(call, says):
    with pytest.raises(TypeError, match=says):
        call()
