"""Draw how far the formulas of trainers are from the products of a model's training step."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from flopbook.checks import quoted
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, element, line, rect, words
from flopbook.predict.models import TRAINERS, Inventory
from flopbook.tables import Table

__all__ = ["errors_of_trainers"]

_LENGTHS = 1024, 8192, 32768, 131072
_ROW, _TOP, _MIDDLE, _HALF, _REACH = 22, 14.0, 256.0, 112.0, 40  # a bar's axis, and percent to each side of it
_RIGHT = 0.1  # percent that a formula may be off and still get the mark
_AGAINST = {"dense": "every query with every key", "needed": "what the mask leaves"}


def errors_of_trainers(
    models: Mapping[str, Inventory],
    trainers: Sequence[str] = (
        "nanoGPT",
        "torchtitan",
        "Megatron-LM",
        "OLMo-core",
        "Hugging Face",
        "MaxText",
        "litgpt",
    ),
    start: str = "",
) -> Picture:
    """Draw the error of each trainer's formula, for a model and a length of its sequences.

    Parameters
    ----------
    models : mapping of str to Inventory
        What each model has, at its sizes and with T left open, by its name: such as
        `flopbook.published.Network.inventory`.
    trainers : sequence of str
        Which of `flopbook.predict.models.TRAINERS`.
    start : str
        The model that is shown first; without it, the first one.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two models, or one is not an inventory.

    Notes
    -----
    The error is against the products of a training step, for a token: with attention dense, or with the pairs alone
    that the model's mask leaves. A mark stands at formulas that are less than 0.1% off.

    Examples
    --------
    >>> from flopbook.predict.models import inventory
    >>> sizes = dict(L=32, D=4096, H=32, G=8, E=128, F=14336)
    >>> models = {name: inventory(gated=True).at(**sizes, V=V) for name, V in [("Llama 3 8B", 128256), ("V of 9", 9)]}
    >>> print(errors_of_trainers(models).frame(T=8192, attention="needed").sentence)
    A token of Llama 3 8B at 8,192 tokens takes 51.5 GFLOPs, by what the mask leaves. Within 0.1%: Megatron-LM and \
MaxText. Furthest off is litgpt, 35.3% too high.
    """
    for name, model in models.items():
        if not isinstance(model, Inventory):
            raise TypeError(f"{name}: {quoted(model)} is not an inventory: write from_config(...).inventory")

    @cache
    def errors(model: str, T: int, attention: str) -> tuple[int, dict[str, tuple[int, float]]]:
        sized = models[model].at(T=T)
        right = sized.dense if attention == "dense" else sized.needed
        off = {}
        for trainer in trainers:
            flops = TRAINERS[trainer].flops(sized)
            off[trainer] = int(flops.round()), 100 * float(flops / right - 1) if flops != right else 0.0
        return int(right.round()), off

    def draw(model: str, T: int, attention: str) -> Frame:
        right, off = errors(model, T, attention)
        return Frame(
            [*_bars({name: error for name, (_, error) in off.items()}), *_axis(len(off))],
            _sentence(model, T, attention, right, {name: error for name, (_, error) in off.items()}),
            Table(
                ["trainer", "FLOPs for a token", "off by"],
                [(name, flops, _percent(error)) for name, (flops, error) in off.items()],
            ),
        )

    return Picture(
        "trainer-errors",
        "How far trainers' formulas are off",
        _TOP + _ROW * len(trainers) + 34,
        draw,
        [
            Choice("model", "Model", list(models), start=start or next(iter(models))),
            Slider("T", "T, tokens of a sequence", _LENGTHS, start=8192),
            Choice("attention", "Attention", list(_AGAINST)),
        ],
    )


def _percent(error: float) -> str:
    """Write an error; a mark is what is nearly right.

    >>> _percent(0.0), _percent(-0.004), _percent(0.04), _percent(12.34)
    ('✓ exact', '✓ < 0.01%', '✓ +0.04%', '+12.3%')
    """
    if not error:
        return "\N{CHECK MARK} exact"
    if abs(error) < 0.01:
        return "\N{CHECK MARK} < 0.01%"
    said = f"\N{CHECK MARK} {error:+.2f}%" if abs(error) < _RIGHT else f"{error:+,.1f}%"
    return said.replace("-", "\N{MINUS SIGN}")


def _bars(errors: Mapping[str, float]) -> Iterator[str]:
    """Draw a bar for each error, to the left if it is too low; a bar that leaves the axis ends in an arrow."""
    for place, (name, error) in enumerate(errors.items()):
        y = _TOP + _ROW * place
        width = _HALF * min(abs(error), _REACH) / _REACH
        near = abs(error) < _RIGHT
        yield words(0, y, name, "start strong" if near else "start")
        yield rect(_MIDDLE - (width if error < 0 else 0), y - 6, width, 12, "forward full")
        beyond = "\N{RIGHTWARDS ARROW}" if error > _REACH else "\N{LEFTWARDS ARROW}" if error < -_REACH else ""
        side = 1 if error > 0 else -1
        yield words(_MIDDLE + side * (_HALF + 8), y, beyond, "strong") if beyond else element("g")
        yield words(WIDTH, y, _percent(error), "end strong" if near else "end")


def _axis(rows: int) -> Iterator[str]:
    bottom = _TOP + _ROW * rows
    yield line(_MIDDLE, _TOP - 12, _MIDDLE, bottom)
    for step in range(-_REACH, _REACH + 1, 20):
        x = _MIDDLE + _HALF * step / _REACH
        yield line(x, bottom - 4, x, bottom + 4)
        yield words(x, bottom + 16, f"{step:+}%".replace("-", "\N{MINUS SIGN}") if step else "right")


def _sentence(model: str, length: int, attention: str, right: int, errors: Mapping[str, float]) -> str:
    near = [name for name, error in errors.items() if abs(error) < _RIGHT]
    said = " and ".join([", ".join(near[:-1]), near[-1]] if near[1:] else near)
    within = f"Within {_RIGHT}%: {said}." if near else f"No formula is within {_RIGHT}%."
    far = max(errors, key=lambda name: abs(errors[name]))
    side = "high" if errors[far] > 0 else "low"
    return (
        f"A token of {model} at {length:,} tokens takes {right / 1e9:,.1f} GFLOPs, by {_AGAINST[attention]}. {within} "
        f"Furthest off is {far}, {abs(errors[far]):,.1f}% too {side}."
    )
