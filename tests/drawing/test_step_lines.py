"""Test the picture of a whole step: each line has the FLOPs of its products and of its elements."""

from flopbook.drawing import whole_step
from flopbook.predict import B, D, H, K, evaluate, flops, matmul, training_step

STEP = training_step(
    matmul("x[B,D] @ w1[D,H] -> h[B,H]"),
    matmul("h[B,H] @ w2[H,G] -> g[B,G]"),
    matmul("g[B,G] @ w3[G,K] -> y[B,K]"),
    data="x",
)
SIZES = dict(B=4, D=3, H=5, G=7, K=2)
POINTWISE = dict(forward=B * H + 3 * B * K, backward=B * H + 2 * B * K)
UPDATES = {"SGD": 2 * (D * H + H * K), "AdamW": 14 * (D * H + H * K) + 3}


def test_every_line_has_its_flops_and_none_of_a_later_line(states):
    picture = whole_step(STEP, POINTWISE, UPDATES, SIZES, [1, 4, 9])
    lines = picture.controls[0].values
    for state, frame in states(picture):
        sizes = {**SIZES, "B": state["batch"]}
        forward, backward = flops(STEP.forward), flops(STEP.backward)
        every = [0, forward, POINTWISE["forward"], backward, POINTWISE["backward"], UPDATES[state["optimizer"]]]
        numbers = [evaluate(each, sizes) for each in every]
        shown = [row[1] for row in frame.table.rows]
        assert shown == [*numbers, sum(numbers)][: (1, 3, 5, 7)[lines.index(state["line"])]]
        assert any(f"{numbers[place]:,} FLOPs" in frame.sentence for place in (1, 3, 5)) == (
            state["line"] != "zero_grad"
        )
        bars = [f">{sum(part):,}<" for part in (numbers[1:3], numbers[3:5], numbers[5:])]
        seen = [any(bar in shape for shape in frame.shapes) for bar in bars]
        assert seen[: lines.index(state["line"])] == [True] * lines.index(state["line"])
        assert sum('class="optimizer"' in shape for shape in frame.shapes) == (4 if state["line"] == "update" else 0)
