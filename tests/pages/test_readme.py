"""What the README and CONTRIBUTING promise."""

import re

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text("utf-8")


def test_the_taste_tastes_as_written():
    """Every line with a comment in the README's Python gives what the comment says."""
    names, checked = {}, 0
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(block, names)
        for expression, _, value in (line.partition("# ") for line in block.splitlines()):
            if re.fullmatch(r"(True|[\d*+ A-Z]+)", value.strip()):
                assert str(eval(expression, names)) == value.strip()
                checked += 1
    assert checked == 4


@pytest.mark.parametrize("target", re.findall(r"`make (\w+)", README))
def test_every_command_it_names_exists(target):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files(name):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / name).read_text("utf-8"))
    template = "../reference/bibliography.md"  # seen from the lecture that is made of the template
    assert [link for link in links if link != template and not (ROOT / link).exists()] == []
