"""Test that each lecture has a calculator."""


def test_every_lecture_has_a_calculator(site, pages):
    lectures = [name for name in pages if name.startswith("lectures/")]
    assert [name for name in lectures if 'class="panel calculator"' not in (site / name).read_text("utf-8")] == []
