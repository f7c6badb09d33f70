"""Test what follows from the letters that are split."""

import pytest
from sympy import expand

from flopbook.predict import B, D, H, K, axis, conv, flops, matmul, training_step
from flopbook.predict.memory import Formats
from flopbook.predict.models import decoder_block
from flopbook.predict.parallel import MeshAxis, Transfer, carried, passed_around, split

H_OF_X, Y_OF_H = matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]")
MLP = training_step(H_OF_X, Y_OF_H)
ONE = training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]"))
t, d = axis("t"), axis("d")


def carries(split):
    return [(each.transfer.collective, each.transfer.phase, str(each.tensor)) for each in split.moves]


@pytest.mark.parametrize(
    ("letter", "expected"),
    [
        ("B", [("all-reduce", "backward", "w.grad[D,K]")]),
        ("D", [("all-reduce", "forward", "y[B,K]")]),
        ("K", [("all-reduce", "backward", "x.grad[B,D]")]),
    ],
)
def test_of_each_letter_the_one_product_that_sums_over_it_needs_a_sum(letter, expected):
    part = split(ONE, MeshAxis(letter, t))
    assert carries(part) == expected
    assert (part.forward, part.backward) == (ONE.forward[0].flops / t, 2 * ONE.forward[0].flops / t)


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (MeshAxis("H", t), ["all-reduce y[B,K]", "all-reduce x.grad[B,D]"]),
        (MeshAxis({"h": "H"}, t), ["all-gather h[B,H]", "all-reduce x.grad[B,D]"]),
        (MeshAxis({"y": "H"}, t), ["all-reduce y[B,K]", "all-gather h.grad[B,H]"]),
        (MeshAxis({"h": "D"}, t), ["all-reduce h[B,H]"]),
        (MeshAxis({"h": "D"}, t, {"x": ""}), ["all-reduce h[B,H]", "all-gather x.grad[B,D]"]),
        (MeshAxis({"h": "D", "y": "H"}, t), ["all-reduce h[B,H]", "all-reduce y[B,K]", "all-gather h.grad[B,H]"]),
        (
            MeshAxis({"h": "D", "y": "H"}, t, {"h": "H"}),
            ["reduce-scatter h[B,H]", "all-reduce y[B,K]", "all-gather h.grad[B,H]"],
        ),
        (
            MeshAxis({"h": "B", "y": "H"}, t),
            ["all-to-all h[B,H]", "all-reduce y[B,K]", "all-to-all h.grad[B,H]", "all-reduce w1.grad[D,H]"],
        ),
        (MeshAxis("H", 1), []),
    ],
)  # fmt: skip
def test_an_operand_that_lies_otherwise_is_exchanged_first(mesh, expected):
    assert [f"{move.transfer.collective} {move.tensor}" for move in split(MLP, mesh).moves] == expected


def test_a_product_without_the_letter_runs_on_every_rank():
    part = split(MLP, MeshAxis({"h": "H"}, t), weights="w1 w2")
    assert part.forward == H_OF_X.flops / t + Y_OF_H.flops
    assert part.weights == 4 * (D * H / t + H * K)
    assert part.kept == 4 * (B * D + B * H)


def test_a_product_without_the_letter_runs_on_the_part_that_lies_there():
    router = matmul("n[B,T,D] @ wr[D,X] -> r[B,T,X]")
    block = training_step(router, *decoder_block().forward[-2:])
    part = split(block, MeshAxis("F", t, {"n": "T", "z": "T"}), weights="wr w1 w2")
    assert expand(part.forward - flops(block.forward) / t) == 0
    assert ("all-reduce", "backward", "wr.grad[D,X]") in carries(part)
    assert expand(part.kept / (4 * B * axis("T"))) == D + axis("F") / t  # the whole input has the rank's part in it


def test_a_block_carries_its_input_four_times_or_eight_halves():
    whole = 4 * B * axis("T") * D
    plain, in_sequence = (
        split(decoder_block(), MeshAxis("H,G,F", t, lies)) for lies in ({}, dict.fromkeys("xnyz", "T"))
    )
    assert [transfer.bytes for transfer in plain.transfers] == [whole] * 4
    assert [transfer.bytes for transfer in in_sequence.transfers] == [whole] * 8
    assert sum(each.ring for each in plain.transfers) == sum(each.ring for each in in_sequence.transfers)


def test_an_all_to_all_carries_what_a_rank_has():
    part = split(MLP, MeshAxis({"h": "B", "y": "H"}, t))
    assert [each.payload for each in part.transfers if each.collective == "all-to-all"] == [4 * B * H / t] * 2


def test_a_weight_that_lies_in_parts_splits_no_product():
    part = split(ONE, MeshAxis({}, d, {"w": "D"}), weights="w")
    assert part.forward == ONE.forward[0].flops
    assert carries(part) == [("all-gather", "forward", "w[D,K]")]
    assert part.weights == 4 * D * K / d


def test_two_axes_divide_what_they_carry():
    part = split(MLP, MeshAxis("H", t), MeshAxis("B", d), weights="w1 w2")
    assert part.forward == 2 * B * D * H / (t * d) + 2 * B * H * K / (t * d)
    assert {str(move.tensor): move.transfer.payload for move in part.moves} == {
        "y[B,K]": 4 * B * K / d, "x.grad[B,D]": 4 * B * D / d, "w1.grad[D,H]": 4 * D * H / t,
        "w2.grad[H,K]": 4 * H * K / t,
    }  # fmt: skip
    assert part.kept == 4 * (B * D / d + B * H / (d * t))


def test_what_is_gathered_again_is_kept_in_parts():
    lies = dict.fromkeys("xnyz", "T")
    once, again = (
        split(decoder_block(), MeshAxis("H,G,F", t, lies, again), weights="wq wk wv wo w1 w2")
        for again in ((), ("x", "n"))
    )
    assert expand(once.kept - again.kept) == expand(8 * B * D * axis("T") * (1 - 1 / t))
    assert len(again.moves) == len(once.moves) + 2


def test_formats_say_what_is_carried_and_held():
    formats = Formats(parameters=1, gradients=8, activations=2)
    part = split(MLP, MeshAxis("H", t), MeshAxis("B", d), weights="w1 w2", formats=formats)
    assert {str(move.tensor): move.transfer.payload for move in part.moves} == {
        "y[B,K]": 2 * B * K / d, "x.grad[B,D]": 2 * B * D / d, "w1.grad[D,H]": 8 * D * H / t,
        "w2.grad[H,K]": 8 * H * K / t,
    }  # fmt: skip
    assert part.weights == D * H / t + H * K / t


def test_an_all_gather_takes_as_many_bytes_passed_around():
    for collective in ("all-gather", "reduce-scatter"):
        whole = Transfer(collective, "backward", 4 * B * D, t, calls=3)
        send, receive = passed_around(whole)
        assert (send.ring - whole.ring).simplify() == 0
        assert (receive.ring, receive.bytes) == (0, send.bytes)
        assert send.ranks == receive.ranks == 2  # one hands on to one other


def test_what_is_not_called_and_what_has_no_bytes_is_left_out():
    moves = [Transfer("all-reduce", "forward", 0, 2), Transfer("all-gather", "forward", 4, 2, calls=t - 1)]
    assert carried(moves, dict(t=1)) == {}
    assert carried(moves, dict(t=4)) == {("all-gather", "forward"): (3, 12, 6)}


@pytest.mark.parametrize(
    ("letters", "ranks", "sizes", "said"),
    [
        ("H", 4, dict(B=1, D=1, H=6, K=1), "H=6 cannot be split over 4 ranks: give a multiple of 4"),
        ("H", t, dict(B=1, D=1, H=6, K=1, t=5), "H=6 cannot be split over 5 ranks"),
        ("H", t, dict(B=1, D=1, H=6, K=1), "needs a size for t"),
    ],
)
def test_ranks_that_do_not_divide_a_letter_are_refused(letters, ranks, sizes, said):
    with pytest.raises(ValueError, match=said):
        split(MLP, MeshAxis(letters, ranks)).at(sizes)


@pytest.mark.parametrize(
    ("mesh", "letter"),
    [
        (MeshAxis("K", 3, {"w": "", "y": ""}), "K"),  # the product is split, and nothing lies so
        (MeshAxis("K", 3, {"x": "B"}), "B"),  # data lies so, and no product is split
    ],
)
def test_ranks_have_to_divide_what_is_split_and_what_lies_so(mesh, letter):
    part = split(training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]"), data="x"), mesh, weights="w")
    sizes = dict(B=3, D=1, K=3)
    assert part.at(sizes).forward == 2 * 3 * 1 * 3 // 3
    with pytest.raises(ValueError, match=f"{letter}=2 cannot be split over 3 ranks"):
        part.at(sizes | {letter: 2})


def test_two_axes_have_to_divide_a_letter_together():
    part = split(MLP, MeshAxis("H", 2), MeshAxis("B", 3, {"w1": "H"}), weights="w1 w2")
    sizes = dict(B=3, D=1, K=1)
    assert part.at(sizes | dict(H=6)).weights == 4 * (6 // 6 + 6 // 2)
    with pytest.raises(ValueError, match="H=2 cannot be split over 6 ranks"):
        part.at(sizes | dict(H=2))


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (lambda: split(MLP, MeshAxis("Q", 2)), ValueError, "'Q' is not a letter of the step: give one of B, D, H, K"),
        (lambda: split(MLP, MeshAxis({"q": "H"}, 2)), ValueError, "'q' is not in the step: give one of h, y"),
        (lambda: split(MLP, MeshAxis("H", 2, {"q": "H"})), ValueError, "'q' is not in the step"),
        (lambda: split(MLP, MeshAxis("H", 2, {"x": "H"})), ValueError, r"x\[B,D\] cannot lie along H"),
        (lambda: split(MLP, MeshAxis("H,K", 2)), ValueError, "has H and K, both split over the same ranks"),
        (lambda: split(MLP, MeshAxis({"h": "K"}, 2)), ValueError, "cannot be split along K"),
        (lambda: split(MLP, MeshAxis("H", 2), weights="x w3"), ValueError, "'w3' is not an input of the step"),
        (lambda: split(MLP, MeshAxis("H", 2), weights=["w1"]), TypeError, "is not text"),
        (lambda: split(H_OF_X, MeshAxis("H", 2)), TypeError, "is not a training step"),
        (lambda: split(MLP, "H"), TypeError, "'H' is not an axis of a mesh"),
        (lambda: MeshAxis("H", 0), ValueError, "ranks=0 is not a size"),
        (lambda: MeshAxis(["H"], 2), TypeError, "names no letters"),
        (lambda: MeshAxis("H", 2, {"x": 1}), TypeError, "has a part that is not text"),
        (lambda: MeshAxis("H", 2, "x"), TypeError, "names no letters"),
        (lambda: MeshAxis("2", 2), ValueError, "'2' is not the name of an axis"),
        (lambda: MeshAxis("H", 2, {"x": "D"}, again=("n",)), ValueError, "names a tensor that lies does not"),
        (lambda: Transfer("all-sum", "forward", 4, 2), ValueError, "all-sum"),
        (lambda: Transfer("all-reduce", "sideways", 4, 2), ValueError, "sideways"),
        (lambda: Transfer("all-reduce", "forward", "4", 2), TypeError, "payload='4'"),
        (lambda: Transfer("all-reduce", "forward", 4, "2"), TypeError, "ranks='2'"),
        (lambda: Transfer("all-reduce", "forward", 4, 2, "1"), TypeError, "calls='1'"),
        (lambda: passed_around("all-gather"), TypeError, "is not a transfer"),
        (lambda: passed_around(Transfer("all-reduce", "forward", 4, 2)), ValueError, "all-reduce"),
    ],
)  # fmt: skip
def test_what_cannot_be_split_is_refused(wrong, error, said):
    with pytest.raises(error, match=said):
        wrong()


def test_a_spatial_letter_of_a_convolution_is_refused():
    step = training_step(conv("x[B,C,X] * w[K,C,R] -> y[B,K,P]"))
    assert carries(split(step, MeshAxis("C", 2))) == [("all-reduce", "forward", "y[B,K,P]")]
    with pytest.raises(ValueError, match="cannot be split along P, which one tensor of it has"):
        split(step, MeshAxis("P", 2))
