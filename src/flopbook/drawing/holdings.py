"""Draw what each rank keeps of a model, and what it sends in a step, at each stage of ZeRO."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, rect, words
from flopbook.predict.parallel.sharding import zero
from flopbook.tables import Table, Total
from flopbook.units import si

__all__ = ["rank_holdings"]

#: What can be sharded, by stage.
_STAGES = ("nothing", "optimizer state", "state and gradients", "all three")
#: What a rank keeps, and how it looks.
_KINDS = {"parameters": "bytes full", "gradients": "backward full", "optimizer": "optimizer full"}
#: When a rank sends, and how it looks.
_PHASES = {"forward": "forward", "backward": "backward", "optimizer": "optimizer"}
_NAMES = {"parameters": "parameters", "gradients": "gradients", "optimizer": "optimizer state"}
_SHOWN = 8  # columns; of more ranks the last column is the last rank
_LEFT, _TOP, _BOTTOM, _GAP = 4.0, 8.0, 174.0, 6.0


class _Now(NamedTuple):
    """Holds the bytes of a rank: kept by kind, sent by phase."""

    kept: Mapping[str, int]
    sent: Mapping[str, int]

    @property
    def held(self) -> int:
        return sum(self.kept.values())


def rank_holdings(models: Mapping[str, int], ranks: Sequence[int], memory: int) -> Picture:
    """Draw the bytes that each rank keeps and sends in mixed precision with AdamW.

    Parameters
    ----------
    models : mapping of str to int
        The parameters of each model to choose from, by its name.
    ranks : sequence of int
        How many ranks there can be. They divide the parameters.
    memory : int
        Bytes that a device has.

    Raises
    ------
    ValueError
        If a number is not a whole one of at least 1, or the ranks do not divide the parameters.

    Examples
    --------
    >>> picture = rank_holdings({"a model": 64_000_000_000, "another": 8_000_000_000}, [1, 2, 64], memory=80 * 10**9)
    >>> print(picture.frame(ranks=64, shard="all three").sentence)
    With all three sharded, each of 64 ranks keeps 16.0 GB of a model, and a GPU of 80.0 GB holds that. In a step it \
sends 378 GB. How few ranks would do?
    """
    most = checks.size("memory", memory)
    for name, parameters in models.items():
        for count in ranks:
            if checks.size(name, parameters) % checks.size("ranks", count):
                raise ValueError(f"{count:,} ranks do not divide {parameters:,} parameters: give numbers that do")

    def draw(model: str, shard: str, ranks: int) -> Frame:
        stage, parameters = _STAGES.index(shard), models[model]
        now = _now(stage, parameters, ranks)
        whole, most_sent = _now(0, parameters, 1), sum(_now(3, parameters, max(counts)).sent.values())
        rows = [
            *((_NAMES[kind], now.kept[kind]) for kind in _KINDS), Total(("kept", now.held)),
            *((f"sent, {'update' if phase == 'optimizer' else phase}", now.sent[phase]) for phase in _PHASES),
            Total(("sent in a step", sum(now.sent.values()))),
        ]  # fmt: skip
        shapes = [*_columns(stage, ranks, whole), *_legend(now), *_sent(now, most_sent)]
        return Frame(shapes, _sentence(model, stage, ranks, now, most), Table(["of one rank", "bytes"], rows))

    counts = list(ranks)
    return Picture(
        "rank-holdings",
        "What each rank keeps, and sends in a step",
        _BOTTOM + 110,
        draw,
        [
            Choice("model", "Model", list(models)),
            Choice("shard", "Shard", list(_STAGES)),
            Slider("ranks", "d, ranks", counts, start=counts[len(counts) // 2]),
        ],
    )


def _now(stage: int, parameters: int, ranks: int) -> _Now:
    rank = zero(stage, parameters, ranks)
    sent = dict.fromkeys(_PHASES, 0)
    for transfer in rank.transfers:
        sent[transfer.phase] += int(transfer.ring)
    return _Now({kind: int(getattr(rank.held, kind)) for kind in _KINDS}, sent)


def _columns(stage: int, ranks: int, whole: _Now) -> Iterator[str]:
    """Draw a column for each rank: all there is in outline, and what the rank keeps of it in full."""
    shown = min(ranks, _SHOWN)
    width = (WIDTH - 2 * _LEFT) / max(shown, 4)
    scale = (_BOTTOM - _TOP) / whole.held
    split = {"parameters": stage >= 3, "gradients": stage >= 2, "optimizer": stage >= 1}
    for place in range(_SHOWN):
        rank = ranks - 1 if place == shown - 1 else place
        x, bottom = round(_LEFT + width * place + _GAP / 2, 1), _BOTTOM
        for kind, look in _KINDS.items():
            if place >= shown:
                yield from ("<g/>", "<g/>")
                continue
            height = whole.kept[kind] * scale
            part = height / ranks if split[kind] else height
            above = bottom - (rank * part if split[kind] else 0) - part
            yield rect(x, round(bottom - height, 1), round(width - _GAP, 1), round(height, 1), "left-out")
            yield rect(x, round(above, 1), round(width - _GAP, 1), max(round(part, 1), 1.2), look)
            bottom -= height
        if place < shown:
            name = (
                f"… {rank:,}" if ranks > _SHOWN and place == shown - 1 else f"rank {rank}" if shown <= 4 else f"{rank}"
            )
            yield words(round(x + (width - _GAP) / 2, 1), _BOTTOM + 11, name)
        else:
            yield "<g/>"
    yield line(0, _BOTTOM, WIDTH, _BOTTOM)


def _legend(now: _Now) -> Iterator[str]:
    y = _BOTTOM + 30
    yield words(_LEFT, y, "Each keeps", "start strong")
    yield words(WIDTH - _LEFT, y, f"{now.held:,} B", "end strong")
    for x, (kind, look) in zip((_LEFT, 150, 292), _KINDS.items(), strict=True):
        yield rect(x, y + 13, 10, 10, look)
        yield words(x + 14, y + 18, f"{_NAMES[kind].removeprefix('optimizer ')} {si(now.kept[kind], 'B')}", "start")


def _sent(now: _Now, most: int) -> Iterator[str]:
    y, x, scale = _BOTTOM + 68, _LEFT, (WIDTH - 2 * _LEFT) / most
    yield words(_LEFT, y, "Each sends in a step", "start strong")
    yield words(WIDTH - _LEFT, y, f"{sum(now.sent.values()):,} B", "end strong")
    yield rect(_LEFT, y + 9, WIDTH - 2 * _LEFT, 12, "left-out")
    for phase, look in _PHASES.items():
        width = round(now.sent[phase] * scale, 1)
        yield rect(round(x, 1), y + 9, width, 12, look) if width else "<g/>"
        x += width
    for left, (phase, look) in zip((_LEFT, 150, 292), _PHASES.items(), strict=True):
        name = "update" if phase == "optimizer" else phase
        yield rect(left, y + 27, 10, 10, look)
        yield words(left + 14, y + 32, f"{name} {si(now.sent[phase], 'B')}", "start")


def _sentence(model: str, stage: int, ranks: int, now: _Now, memory: int) -> str:
    if ranks == 1:
        return f"One rank alone keeps {si(now.held, 'B')} of {model}, and sends nothing. What do two ranks change?"
    what = ("nothing", "the optimizer's state", "state and gradients", "all three")[stage]
    fits = "holds that" if now.held <= memory else "does not hold that"
    ask = (
        " Which of the three would you shard first?",
        " What is left in full?",
        " Only the parameters are in full, 2 bytes each, however many ranks there are.",
        " How few ranks would do?" if now.held <= memory else " How many ranks does it take?",
    )[stage]
    return (
        f"With {what} sharded, each of {ranks:,} ranks keeps {si(now.held, 'B')} of {model}, and a GPU of "
        f"{si(memory, 'B')} {fits}. In a step it sends {si(sum(now.sent.values()), 'B')}.{ask}"
    )
