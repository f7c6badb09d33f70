"""Turn MyST Markdown into the plain Markdown that every Jupyter shows, and what a reader changed of it back.

A text is cut into pieces, each with its MyST and with what is shown for it. Most pieces are shown as they are. Roles,
links and the frames of directives are not, and return as they were where a reader has left them alone.
"""

import difflib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

# How a role's target and text become plain text: given (role, content), the text.
Resolve = Callable[[str, str], str]

_FENCE = re.compile(r"(?P<fence>`{3,}|~{3,}|:{3,})(?P<info>.*)\n")
_DIRECTIVE = re.compile(r"(?P<opening>\S*\{(?P<name>[\w:-]+)\}[ \t]*)(?P<argument>.*)")
_OPTION = re.compile(r":[\w-]+:")
_DROPPED_LINE = re.compile(r"(\([\w.-]+\)=|%.*|\{[.#].*\}|<!-- search: .*-->)\n")
_DEFINITION = re.compile(r":\s+")
_ANSWER = re.compile(r"\[[ x]\] +(?=\S)")
_REASON = re.compile(r": +(?=\S)")
_INLINE = re.compile(
    r"\{(?P<role>[a-z][\w:-]*)\}`(?P<content>[^`]+)`"
    r"|\[(?P<words>[^\]]*)\]\((?!\w+:)(?P<page>[^)#]+)\.md(#[^)]*)?\)"
    r"|\[(?P<text>[^\]]+)\]\(#[^)]*\)"  # each Jupyter makes anchors in its own way
)
_TOKEN = re.compile(r"\w+|\s|[^\w\s]")
_QUOTED = {
    "admonition": "",
    "attention": "Attention",
    "caution": "Caution",
    "danger": "Danger",
    "hint": "Hint",
    "important": "Important",
    "note": "Note",
    "seealso": "See also",
    "tip": "Tip",
    "warning": "Warning",
}


class Piece(NamedTuple):
    """Holds a part of a text, and what is shown for it."""

    myst: str
    shown: str


def plain_markdown(text: str, resolve: Resolve) -> str:
    r"""Rewrite directives and roles.

    >>> print(plain_markdown(":::{tip} Try it\nWith {math}`D = 1`.\n:::", lambda role, content: content))
    > **Tip: Try it**
    >
    > With $D = 1$.
    """
    return shown(pieces(text, resolve))


def pieces(text: str, resolve: Resolve) -> list[Piece]:
    """Cut a text into pieces; together their MyST is the text, with a line break at its end."""
    return [piece for piece in _blocks(f"{text}\n".splitlines(keepends=True), resolve) if any(piece)]


def shown(parts: Iterable[Piece]) -> str:
    """Return what is shown for a text's pieces."""
    return "".join(piece.shown for piece in parts).strip("\n")


def restored(parts: Sequence[Piece], edited: str) -> str:
    r"""Return the MyST of what a reader has made of the shown text.

    A piece that the reader left alone returns as it was; what the reader wrote stands as it was written.

    >>> parts = pieces(":::{dropdown} Answer\nOne.\n:::", lambda role, content: content)
    >>> print(restored(parts, shown(parts).replace("One", "Two")))
    :::{dropdown} Answer
    Two.
    :::
    """
    before = "".join(piece.shown for piece in parts)
    inserted, deleted = _changes(before, before.replace(shown(parts), edited, 1) if before.strip() else f"{edited}\n")
    written, start = [], 0
    for piece in parts:
        end = start + len(piece.shown)
        kept = "".join(
            ("" if place == start else inserted.pop(place, "")) + ("" if place in deleted else before[place])
            for place in range(start, end)
        )
        gone = not piece.shown and {start - 1, start} <= deleted
        written += [inserted.pop(start, ""), "" if gone else piece.myst if kept == piece.shown else kept]
        start = end
    return "".join([*written, inserted.pop(start, "")]).strip("\n")


def _changes(before: str, after: str) -> tuple[dict[int, str], set[int]]:
    """Return what was inserted before a place, and the places of characters that were deleted."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    pairs = enumerate(zip(old, new, strict=False))
    same = next((number for number, (one, other) in pairs if one != other), len(old))  # to compare less
    places = [0, *itertools.accumulate(map(len, old))][same:]
    old, new = old[same:], new[same:]
    inserted, deleted = {}, set()
    for change, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if change != "equal":
            inserted[places[i1]] = "".join(new[j1:j2])
            deleted |= set(range(places[i1], places[i2]))
    return inserted, deleted


def _blocks(lines: list[str], resolve: Resolve) -> Iterator[Piece]:
    waiting = list(reversed(lines))
    while waiting:
        line = waiting.pop()
        if opening := _FENCE.fullmatch(line):
            body, closing = _until_closed(waiting, opening["fence"])
            if directive := _DIRECTIVE.match(line):
                yield from _directive(directive, body, closing, resolve)
                yield from _gap(waiting, directive["name"])
            else:
                yield from (Piece(line, line) for line in [line, *body, closing])
        elif _DROPPED_LINE.fullmatch(line):
            yield Piece(line, "")
        elif waiting and line.strip() and (definition := _DEFINITION.match(waiting[-1])):
            rest = waiting.pop()[definition.end() :]
            yield Piece("", "**")
            yield from _inline(line[:-1], resolve)
            yield Piece(f"\n{definition[0]}", ":** ")
            yield from _inline(rest, resolve)
        else:
            yield from _inline(line, resolve)


def _until_closed(waiting: list[str], fence: str) -> tuple[list[str], str]:
    """Take the lines of a block, and the line that closes it."""
    closing = re.compile(rf"{fence[0]}{{{len(fence)},}}\s*")
    body: list[str] = []
    while waiting:
        line = waiting.pop()
        if closing.fullmatch(line):
            return body, line
        body.append(line)
    return body, ""


def _directive(match: re.Match[str], body: list[str], closing: str, resolve: Resolve) -> Iterator[Piece]:
    opening, name, argument = match.groups()
    options = "".join(itertools.takewhile(_OPTION.match, body))
    body = body[options.count("\n") :]
    title = list(_inline(argument, resolve))
    end_of_line = f"\n{options}"
    if name == "math":
        yield Piece(opening, "$$\n")
        yield from [*title, Piece(end_of_line, "\n" if argument else "")]
        yield from (Piece(line, line) for line in body)
        yield Piece(closing, "$$\n")
    elif name == "code-block":
        yield from [Piece(opening, "```"), *title, Piece(end_of_line, "\n")]
        yield from [Piece(line, line) for line in body]
        yield Piece(closing, "```\n")
    elif name == "dropdown":
        yield from [Piece(opening, "<details>\n<summary>"), *title, Piece(end_of_line, "</summary>\n\n")]
        yield from _blocks(body, resolve)
        yield Piece(closing, "\n</details>\n")
    elif name == "question":
        yield from [Piece(opening, "**"), *title, Piece(end_of_line, "**\n\n")]
        yield from _answers(body, resolve)
        yield Piece(closing, "")
    elif name in _QUOTED:
        yield Piece(opening, ": ".join(["> **" + _QUOTED[name], *([""] if argument and _QUOTED[name] else [])]))
        yield from [*title, Piece(end_of_line, "**\n>\n")]
        yield from _quoted(_blocks(body, resolve))
        yield Piece(closing, "")
    else:
        yield Piece("".join([match.string, options, *body, closing]), "")


def _gap(waiting: list[str], name: str) -> Iterator[Piece]:
    """Leave one empty line behind a directive that is shown, and none behind another."""
    is_shown = name in {"math", "code-block", "dropdown", "question", *_QUOTED}
    if waiting and waiting[-1].strip() and is_shown:
        yield Piece("", "\n")
    while waiting and not waiting[-1].strip() and not is_shown:
        yield Piece(waiting.pop(), "")


def _answers(lines: list[str], resolve: Resolve) -> Iterator[Piece]:
    """Fold the reason of each answer, which says whether that answer is right."""
    letters, letter, verdict, is_open = iter("abcdefghij"), "?", "", False
    for line in lines:
        if answer := _ANSWER.match(line):
            letter, verdict = next(letters, "?"), "Right." if line[1] == "x" else "Not so."
            yield Piece("", "</details>\n\n" if is_open else "")
            yield Piece(answer[0], f"({letter}) ")
            yield from _inline(line[answer.end() :], resolve)
            is_open = False
        elif reason := _REASON.match(line):
            yield Piece(reason[0], f"\n<details>\n<summary>Is it ({letter})?</summary>\n\n*{verdict}* ")
            yield from _inline(line[reason.end() :], resolve)
            is_open = True
        elif line.strip():
            yield from _inline(line, resolve)
        else:
            yield Piece(line, "\n")
    yield Piece("", "\n</details>\n" if is_open else "")


def _quoted(parts: Iterable[Piece]) -> Iterator[Piece]:
    """Put the sign of a quotation before each line."""
    at_start = True
    for part in parts:
        for line in part.shown.splitlines(keepends=True) if part.myst == part.shown else [part.shown]:
            text = line if part.myst == part.shown else part.myst
            if at_start and line:
                yield Piece("", "> " if line.strip() else ">")
            yield Piece(text, re.sub(r"\n(?=.)", "\n> ", line).replace("\n\n", "\n>\n"))
            at_start = line.endswith("\n") if line else at_start


def _inline(line: str, resolve: Resolve) -> Iterator[Piece]:
    start = 0
    for match in _INLINE.finditer(line):
        yield Piece(line[start : match.start()], line[start : match.start()])
        start = match.end()
        if match["role"] == "math":
            yield Piece(match[0], f"${match['content']}$")
        elif match["role"]:
            yield Piece(match[0], resolve(match["role"], match["content"]))
        elif match["page"]:
            yield Piece(match[0], resolve("doc", f"{match['words']} <{match['page']}>"))
        else:
            yield Piece("[", "")
            yield from _inline(match["text"], resolve)
            yield Piece(match[0][len(match["text"]) + 1 :], "")
    yield Piece(line[start:], line[start:])
