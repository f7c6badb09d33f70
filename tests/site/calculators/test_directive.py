"""A `{calculator}` that cannot be read fails the build, with its page and its line."""

import re

from tests.support.small_book import HEAD, SmallBook

BOX = (
    "```{code-cell}\nfrom IPython.display import display\n"
    "display({'application/vnd.flopbook.formula+json': dict(name='matmul', title='T', latex='x', when='y', sizes='z', "
    "value='1', witnesses=['counted'], start=dict(B=1), expression=\"Symbol('B')\")}, raw=True)\n```\n"
)
FAULTS = {
    "letter": (
        f"{BOX}\n```{{calculator}} matmul\nB: at 2\nQ: at 3\n```",
        14,
        "'Q: at 3': Q is in no formula here: those have B",
    ),
    "range": (
        f"{BOX}\n```{{calculator}} matmul\n:unit: B\n\nB: two to 3\n```",
        15,
        "'B: two to 3': this is not a size: write it like",
    ),
    "name": (
        f"{BOX}\n```{{calculator}} matmull\n```",
        12,
        "no formula named 'matmull' is boxed above on this page: those are matmul",
    ),
    "below": (
        f"```{{calculator}} matmul\n```\n\n{BOX}",
        7,
        "no formula named 'matmul' is boxed above on this page: those are none",
    ),
}


def test_a_calculator_that_cannot_be_fails_the_build_by_name(tmp_path):
    for name, (text, line, complaint) in FAULTS.items():
        folder = tmp_path / name
        folder.mkdir()
        book = SmallBook(folder)
        for lecture in ("indirect", "unrelated"):
            (folder / "lectures" / f"{lecture}.md").unlink()
        book.write("lectures/direct.md", f"{HEAD}# A page\n\n{text}\n")
        build = book.build()
        assert build.code != 0
        assert re.search(rf"lectures/direct\.md:{line}: .*calculator: {re.escape(complaint)}", build.text), build.text


def test_every_lecture_has_a_calculator(site, pages):
    lectures = [name for name in pages if name.startswith("lectures/")]
    assert [name for name in lectures if 'class="panel calculator"' not in (site / name).read_text("utf-8")] == []
