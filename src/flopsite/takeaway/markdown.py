"""Turn MyST Markdown into the plain Markdown that every Jupyter shows."""

import re
from collections.abc import Callable, Iterator

from flopsite.exercises.questions import plain_question, read_options

# How a role's target and text become plain text: given (role, content), the text.
Resolve = Callable[[str, str], str]

_FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,}|:{3,})(?P<info>.*)$")
_DIRECTIVE = re.compile(r"^\{(?P<name>[\w:-]+)\}\s*(?P<argument>.*)$")
_ROLE = re.compile(r"\{(?P<role>[a-z][\w:-]*)\}`(?P<content>[^`]+)`")
_DROPPED_LINE = re.compile(r"^(\([\w.-]+\)=|%.*)$")
_DEFINITION = re.compile(r"^(\S.*)\n:\s+", re.MULTILINE)
_PAGE_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?!\w+:)(?P<page>[^)#]+)\.md(#[^)]*)?\)")
_ANCHOR_LINK = re.compile(r"\[([^\]]+)\]\(#[^)]*\)")  # each Jupyter makes anchors in its own way
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


def plain_markdown(text: str, resolve: Resolve) -> str:
    r"""Rewrite directives and roles.

    >>> print(plain_markdown(":::{tip} Try it\nWith {math}`D = 1`.\n:::", lambda role, content: content))
    > **Tip: Try it**
    >
    > With $D = 1$.
    """
    plain = _DEFINITION.sub(r"**\1:** ", "\n".join(_blocks(text.splitlines(), resolve)))
    return re.sub(r"\n{3,}", "\n\n", plain).strip()


def _blocks(lines: list[str], resolve: Resolve) -> Iterator[str]:
    waiting = iter(lines)
    for line in waiting:
        if opening := _FENCE.match(line):
            body = list(_until_closed(waiting, opening["fence"]))
            if directive := _DIRECTIVE.match(opening["info"].strip()):
                yield from _directive(directive["name"], directive["argument"], body, resolve)
            else:
                yield from [line, *body, opening["fence"]]
        elif not _DROPPED_LINE.match(line):
            yield _inline(line, resolve)


def _until_closed(lines: Iterator[str], fence: str) -> Iterator[str]:
    closing = re.compile(rf"^{fence[0]}{{{len(fence)},}}\s*$")
    for line in lines:
        if closing.match(line):
            return
        yield line


def _directive(name: str, argument: str, body: list[str], resolve: Resolve) -> Iterator[str]:
    while body and re.match(r"^:[\w-]+:", body[0]):
        body = body[1:]
    if name == "math":
        yield from ["", "$$", *([argument] if argument else []), *body, "$$", ""]
    elif name == "code-block":
        yield from [f"```{argument}", *body, "```"]
    elif name == "dropdown":
        yield from ["", "<details>", f"<summary>{_inline(argument, resolve)}</summary>", ""]
        yield from [plain_markdown("\n".join(body), resolve), "", "</details>", ""]
    elif name == "calculator":
        yield from ["", "*On the site these sizes can be turned.*", ""]
    elif name == "question":
        lines = [_inline(line, resolve) for line in body]
        yield from plain_question(_inline(argument, resolve), read_options(lines))
    elif name in _QUOTED:
        title = ": ".join(part for part in (_QUOTED[name], _inline(argument, resolve)) if part)
        content = plain_markdown("\n".join(body), resolve).splitlines()
        yield ""
        yield from (f"> {line}".rstrip() for line in [f"**{title}**", "", *content])
        yield ""


def _inline(line: str, resolve: Resolve) -> str:
    def role(match: re.Match[str]) -> str:
        if match["role"] == "math":
            return f"${match['content']}$"
        return resolve(match["role"], match["content"])

    def link(match: re.Match[str]) -> str:
        return resolve("doc", f"{match['text']} <{match['page']}>")

    return _ANCHOR_LINK.sub(r"\1", _PAGE_LINK.sub(link, _ROLE.sub(role, line)))
