import pytest

from flopbook.tables import Group, Table, Total, code, strong

PARTS = Table(
    ["part", "kind", "FLOPs", "share", "note"],
    [
        ("a < b", code("mm"), 1280, "12.5%", strong("wrong")),
        ("c", "", None, "", ""),
        Total(("all", "", 1280, "+3e9 FLOP/s", "2 & 3")),
    ],
    "All & parts",
    labels=2,
)


def test_text_has_numbers_to_the_right_and_words_to_the_left():
    assert repr(PARTS).splitlines() == [
        "part   kind  FLOPs        share  note",
        "a < b  mm    1,280        12.5%  wrong",
        "c                —",
        "all          1,280  +3e9 FLOP/s  2 & 3",
    ]


def test_html_has_a_caption_a_scope_for_each_heading_and_marks_numbers():
    assert PARTS._repr_html_() == (
        '<table class="flopbook-table"><caption>All &amp; parts</caption>'
        '<thead><tr><th scope="col">part</th><th scope="col">kind</th><th scope="col" class="number">FLOPs</th>'
        '<th scope="col" class="number">share</th><th scope="col">note</th></tr></thead>'
        '<tbody><tr><th scope="row">a &lt; b</th><th scope="row"><code>mm</code></th><td class="number">1,280</td>'
        '<td class="number">12.5%</td><td><strong>wrong</strong></td></tr>'
        '<tr><th scope="row">c</th><td></td><td class="number">—</td><td class="number"></td><td></td></tr>'
        '<tr class="total"><th scope="row">all</th><td></td><td class="number">1,280</td>'
        '<td class="number">+3e9 FLOP/s</td><td>2 &amp; 3</td></tr></tbody></table>'
    )


def test_groups_are_bodies_of_their_own():
    table = Table(["name", "A"], [Group(("first",)), ("x", "1"), Group(("second",)), ("y", "2")], kind="grouped")
    assert repr(table).splitlines() == ["name  A", "first", "x     1", "second", "y     2"]
    html = table.html
    assert html.startswith('<table class="flopbook-table grouped"><thead>')
    assert html.count("<tbody>") == html.count("</tbody>") == 2
    assert '<tr><th scope="rowgroup">second</th><td colspan="1"></td></tr><tr><th scope="row">y</th>' in html


@pytest.mark.parametrize(
    "text", ["1,280", "-5", "12.5%", "26.3 ms", "5 GFLOP/s", "× 0.5", "~34 KB", "2:46:00", "8.03e9"]
)
def test_a_column_of_numbers_is_set_to_the_right(text):
    assert repr(Table(["a", "wide heading"], [("x", text), ("y", "")])).splitlines()[1].endswith(f"  {text}")
    assert 'class="number">' in Table(["a", "b"], [("x", text)]).html


@pytest.mark.parametrize("text", ["needs 3", "2 to 3", "20 of 26", "2*B*D", "exact"])
def test_words_with_numbers_are_words(text):
    assert "number" not in Table(["a", "b"], [("x", text), ("y", "1")]).html


def test_a_table_without_rows_is_its_head():
    assert repr(Table(["a", "b"], [])) == "a  b"


def test_a_row_that_does_not_fit_is_quoted():
    with pytest.raises(ValueError) as error:
        Table(["a", "b"], [("x", 1, 2)])
    assert str(error.value) == "the row ('x', 1, 2) has 3 cells, but the table 2 columns: give each a cell"


def test_a_number_with_unknown_digits_is_refused():
    with pytest.raises(TypeError) as error:
        Table(["a", "b"], [("x", 0.1)])
    assert str(error.value) == "0.1 is not a cell: write an integer, or text with the digits to show"
