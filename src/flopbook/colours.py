"""Give each meaning one colour, in pictures and plots alike; all are readable on white and on black."""

#: The phases of a training step, as `flopbook.counts.tally.PHASES` names them, and the bytes that it holds or moves.
MEANINGS = {
    "forward": "#3f86cf",
    "backward": "#d9762b",
    "recomputed": "#8a72d3",
    "optimizer": "#c1629f",
    "bytes": "#2f9e77",
}
