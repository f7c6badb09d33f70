"""Test the source of questions, what is missing from it, and their notebook form."""

import pytest

from flopsite.exercises.questions import QuestionError, read_options
from flopsite.takeaway.markdown import plain_markdown

RIGHT = ["[ ] $BDK$", ": These are MACs.", "", "[x] $2BDK$", ": One multiplication", "  and one addition."]


def test_options_keep_their_order_and_their_reasons():
    one, other = read_options(RIGHT)
    assert (one.right, one.text, one.reason) == (False, "$BDK$", "These are MACs.")
    assert (other.right, other.text, other.reason) == (True, "$2BDK$", "One multiplication and one addition.")


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        (["[ ] one", ": why", "[x] two"], 3, "the answer 'two' has no reason: give one below, after ': '"),
        (["[ ] one", ": why", "[ ] two", ": why"], 0, "two answers or more, and one of them is marked [x]"),
        (["[x] one", ": why", "[x] two", ": why"], 0, "two answers or more, and one of them is marked [x]"),
        (["[x] one", ": why"], 0, "two answers or more"),
        ([], 0, "two answers or more"),
        (["[x] one", "why", "[ ] two", ": why"], 2, "'why' is neither '[ ] an answer', '[x] the right one' nor ': the"),
        ([": why"], 1, "': why' is neither"),
        (["[X] one", ": why"], 1, "'[X] one' is neither"),
        (["[]", ": why"], 1, "'[]' is neither"),
    ],
)
def test_what_is_missing_is_named_with_its_line(lines, line, message):
    with pytest.raises(QuestionError, match=message.replace("[", r"\[")) as raised:
        read_options(lines)
    assert raised.value.line == line


def test_a_notebook_folds_the_reason_of_each_answer():
    source = "\n".join([":::{question} How many for {math}`x w`?", *RIGHT, ":::"])
    assert plain_markdown(source, lambda role, content: content).splitlines() == [
        "**How many for $x w$?**",
        "",
        "(a) $BDK$",
        "",
        "<details>",
        "<summary>Is it (a)?</summary>",
        "",
        "*Not so.* These are MACs.",
        "",
        "</details>",
        "",
        "(b) $2BDK$",
        "",
        "<details>",
        "<summary>Is it (b)?</summary>",
        "",
        "*Right.* One multiplication",
        "  and one addition.",
        "",
        "</details>",
    ]
