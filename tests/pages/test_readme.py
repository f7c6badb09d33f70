"""Test what the README and CONTRIBUTING promise."""

import re

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_readme_examples_give_what_they_say():
    """Every line with a comment in the README's Python gives what the comment says."""
    names, checked = {}, 0
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(block, names)
        for expression, _, value in (line.partition("# ") for line in block.splitlines()):
            if re.fullmatch(r"(True|[\d*+ A-Z]+)", value.strip()):
                assert str(eval(expression, names)) == value.strip()
                checked += 1
    assert checked == 5


@pytest.mark.parametrize("target", re.findall(r"`make (\w+)", README + CONTRIBUTING))
def test_every_command_it_names_exists(target):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_paths_they_name_exist(name):
    text = (ROOT / name).read_text("utf-8")
    paths = re.findall(r"`((?:src|tests|lectures|reference|specimens|operators|models|tools)/[\w/.-]+)", text)
    roots = [ROOT, ROOT / "src" / "flopbook", ROOT / "src/flopbook/measure", ROOT / "src/flopbook/predict"]
    lost = [path for path in paths if not any((root / path).exists() for root in roots)]
    assert paths
    made = {"reference/data/versions.json"}  # by `make versions`
    assert set(lost) - made <= {
        "lectures/NAME.md", "reference/data/name.json", "src/flopbook/published/configs/NAME.json",
        "tests/published/test_FAMILY.py",
    }  # fmt: skip


def test_the_tree_of_the_readme_is_the_tree():
    tree = re.search(r"```text\n(.*?)```", README, re.DOTALL)[1]
    way: list[str] = []
    for indent, name in re.findall(r"^( *)(\S+)", tree, re.MULTILINE):
        way[len(indent) // 4 :] = [name]
        assert ROOT.joinpath(*way).exists(), name
    folders = {f"{path.name}/" for path in (ROOT / "src" / "flopbook").iterdir() if (path / "__init__.py").exists()}
    assert folders <= set(re.findall(r"^ +(\S+)", tree, re.MULTILINE))


def test_the_template_of_a_lecture_runs():
    """The code cells of CONTRIBUTING's template run from start to end, and its box is confirmed by a count."""
    template = re.search(r"`````markdown\n(.*?)`````", CONTRIBUTING, re.DOTALL)[1]
    cells = re.findall(r"```\{code-cell\}\n(?:---\n.*?---\n|:tags: [^\n]*\n\n)?(.*?)```", template, re.DOTALL)
    names: dict[str, object] = {}
    for cell in cells:
        exec(cell, names)
    assert len(cells) == 8
    assert names["counted"].total == 2 * (2 * 5 * 3 * 2)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files(name):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / name).read_text("utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []
