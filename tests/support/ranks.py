"""Bring what a rank counted into the form in which the paper says it."""

from collections import defaultdict

from flopbook.counts.tally import Tally


def carried_by(counted: Tally) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Add up calls, payload and bytes sent in a ring, for each collective and phase that carries something."""
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for transfer, sent in counted.communication.items():
        for place, value in enumerate(sent):
            sums[transfer.collective, transfer.phase][place] += value
    return {key: tuple(values) for key, values in sums.items() if values[1]}
