import pytest

from flopbook.checks import is_number, one_of, positive, quoted, several, size
from flopbook.drawing import orthogonalize, seven_products
from flopbook.teaching.audits import Findings


class Odd:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2*B", "'2*B'"),
        (None, "None"),
        ("x" * 81, "'" + 76 * "x" + "'..."),
        (b"x" * 81, "b'" + 76 * "x" + "'..."),
        ([0] * 999, "[" + 25 * "0, " + "0..."),
        pytest.param(10**5000, "a whole number of 16610 bits", id="many bits"),
        (Odd(), "an object of type Odd"),
    ],
)
def test_a_value_is_quoted_and_a_long_one_by_its_beginning(value, text):
    assert quoted(value) == text


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "2", None, [2]])
def test_a_size_is_a_whole_number_of_at_least_one(value):
    with pytest.raises(ValueError) as error:
        size("steps", value)
    assert str(error.value) == f"steps={value!r} is not a size: write a whole number of at least 1"


def test_the_least_size_may_be_another():
    assert size("steps", 0, least=0) == 0
    with pytest.raises(ValueError, match="steps=1 is not a size: write a whole number of at least 2"):
        size("steps", 1, least=2)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "2", None])
def test_a_positive_number_is_finite_and_not_zero(value):
    with pytest.raises(ValueError) as error:
        positive("seconds", value)
    assert str(error.value) == f"seconds={value!r} is out of range: write a positive number"
    assert not is_number(value) or value <= 0


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("adamw", ValueError, "optimizer='adamw' is not known; did you mean 'AdamW'? Write one of 'SGD', 'AdamW'"),
        ("Lion", ValueError, "optimizer='Lion' is not known: write one of 'SGD', 'AdamW'"),
        (["SGD"], TypeError, "optimizer=['SGD'] is not a name: write one of 'SGD', 'AdamW'"),
    ],
)
def test_an_unknown_name_gets_an_error_that_lists_the_known_ones(value, kind, message):
    assert one_of("optimizer", "SGD", ["SGD", "AdamW"]) == "SGD"
    with pytest.raises(kind) as error:
        one_of("optimizer", value, ["SGD", "AdamW"])
    assert str(error.value) == message


@pytest.mark.parametrize("value", [5, None, "48"])
def test_what_does_not_hold_several_is_quoted(value):
    assert several("tokens", iter([4, 8]), "[4]") == (4, 8)
    with pytest.raises(TypeError) as error:
        several("tokens", value, "[4]")
    assert str(error.value) == f"tokens={value!r} does not hold several: write tokens=[4]"


@pytest.mark.parametrize("call", [lambda: Findings(5), lambda: seven_products(5), lambda: orthogonalize([(4, 4)], 7)])
def test_pictures_and_audits_of_one_number_say_what_to_give(call):
    with pytest.raises(TypeError, match="does not hold several"):
        call()
