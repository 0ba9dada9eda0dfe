import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.verbal.language import Formula, Program, ProgramError, columns_of, parameters_of

from .expressions import by_python, expressions

COLUMNS = ["x", "y", "net price", "x-1"]
X = np.array([-2.0, 0.0, 0.5, 3.0])
TABLE = {"x": X, "y": X**2, "net price": X + 10, "x-1": X - 1}


def value_of(text, columns=COLUMNS, table=TABLE):
    return Formula.parse(text, columns).predict(table)


def test_a_line():
    formula = Formula.parse("y = 3*x + 4", ["x"])
    predicted = formula.predict({"x": X})
    assert predicted.dtype == np.float64
    np.testing.assert_array_equal(predicted, [-2.0, 4.0, 5.5, 13.0])
    assert isinstance(formula, Program)
    assert (formula.kind, formula.source) == ("formula", "3 * x + 4")
    assert (columns_of(formula), parameters_of(formula)) == ({"x"}, (3.0, 4.0))


@pytest.mark.parametrize(
    "text",
    [
        "3*x + 4",
        "y = 3*x + 4",
        "f(x) = 3x + 4.",
        "F(x, y) = 3 x + 4",
        "output = 3·x + 4",
        "price = 3 × x + 4",
        "ŷ = 4 − −3x",
        "`y = 3*x + 4`",
        "`y = 3*x + 4.`.",
        "```\ny = 3x + 4\n```",
        "```python\ny = 3x + 4```",
        "3(x + 1) + 1",
        "(3x +\n 4)",
        "3 × x^1 + 2²",
        "x*2**1 + 1x + 2³ / 2",
        "6/2x + 4",
        "y = 4 + 6x ÷ 2",
    ],
)
def test_a_line_as_language_models_write_it(text):
    np.testing.assert_array_equal(value_of(text), 3 * X + 4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 sin(x)", 2 * np.sin(X)),
        ("-x^2", -(X**2)),
        ("(-2)**2 + 0*x", 4 + 0 * X),
        ("-2**2", -4 + 0 * X),
        ("2**-x", 0.5**X),
        ("x - 2 - 3", X - 5),
        ("8 / 2 / 2", 2 + 0 * X),
        ("x - (2 - 3)", X + 1),
        ("`net price` - 2`x-1`", 12 - X),
        ("`x-1`", X - 1),
        ("x-1", X - 1),
        ("y = y", X**2),
        ("1 < x+2 < 3", [0, 1, 1, 0]),
        ("x if x > 0 else -x", np.abs(X)),
        ("1 IF x > 0 AND NOT y > 1 OR x < -1 ELSE 0", [1, 0, 1, 0]),
        ("x and 7", [7, 0, 7, 7]),
        ("x or 7", [-2, 7, 0.5, 3]),
        ("not x", [0, 1, 0, 0]),
        ("x and y and 7", [7, 0, 7, 7]),
        ("7 and x and y", [4, 0, 0.25, 9]),
        ("x or 7 or y", [-2, 7, 0.5, 3]),
        ("min(x, 0, -1) + max(x, 1)", [-1, 0, 0, 2]),
        ("round(x)", [-2, 0, 0, 3]),
        ("floor(x / 3)", [-1, 0, 0, 1]),
        ("sign(x)", [-1, 0, 1, 1]),
        ("abs(x) + ln(exp(x)) - log(e^x)", np.abs(X)),
        ("cos(π) + cos(pi)", -2 + 0 * X),
        ("tan(x) - sin(x) / cos(x) + tanh(x)", np.tanh(X)),
        ("5", [5, 5, 5, 5]),
        ("x ≥ 0.5", [0, 0, 1, 1]),
        ("x ≠ 3", [1, 1, 1, 0]),
        ("2e1 + .5", 20.5 + 0 * X),
        ("2e", 2 * math.e + 0 * X),
    ],
)
def test_closed_forms(text, expected):
    np.testing.assert_allclose(value_of(text), expected, rtol=0, atol=1e-14)
    assert value_of(text).shape == X.shape


def test_nothing_warns_and_the_caller_sees_what_came_of_it():
    for text, expected in {
        "1 / x": np.inf,
        "log(x)": -np.inf,
        "0 / x": np.nan,
        "1 / 0 - 1 / 0": np.nan,
        "exp(exp(exp(exp(9))))": np.inf,
    }.items():
        np.testing.assert_array_equal(value_of(text, ["x"], {"x": np.zeros(2)}), [expected] * 2)
    np.testing.assert_array_equal(value_of("sqrt(x) + (-8)**(1/3)", ["x"], {"x": np.ones(1)}), [np.nan])


def test_numbers_are_floats_that_overflow():
    np.testing.assert_array_equal(value_of("((((99999**20)**20)**20)**20)**20", ["x"], {"x": X}), [np.inf] * 4)


def test_columns_named_as_words_of_the_language():
    table = {"e": X, "sin": X + 1, "if": X + 2, "then": X + 3, "length": X + 4, "pi": X + 5, "AND": X + 6}
    formula = Formula.parse("e + sin + sin(`sin`) + `if` + `then` + length + pi + AND", list(table))
    np.testing.assert_allclose(formula.predict(table), 7 * X + 21 + np.sin(X + 1))
    assert Formula.parse(formula.source, list(table)) == formula
    assert columns_of(formula) == set(table)


def test_no_rows():
    assert value_of("3x", ["x"], {"x": np.zeros(0)}).shape == (0,)


TEXTS = np.array(["Good, GOOD film", "not  so\ngood", "goods feelgood", ""], dtype=object)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('count("good")', [2, 1, 0, 0]),
        ("has('Good')", [1, 1, 0, 0]),
        ("has(“so good”) + 1", [1, 2, 1, 1]),
        ('has("good,")', [1, 0, 0, 0]),
        ("length()", [3, 3, 2, 0]),
        ('count("good") / length() if length() > 2 else -1', [2 / 3, 1 / 3, -1, -1]),
    ],
)
def test_words(text, expected):
    formula = Formula.parse(text, ["text"])
    np.testing.assert_allclose(formula.predict({"text": TEXTS, "number": np.zeros(4)}), expected)
    assert columns_of(formula) == set()
    assert Formula.parse(formula.source, ["text"]) == formula


def test_words_need_one_column_of_texts():
    formula = Formula.parse('has("good")', ["x"])
    with pytest.raises(ProgramError, match="exactly one column of texts; there are 0"):
        formula.predict({"x": X})
    with pytest.raises(ProgramError, match="exactly one column of texts; there are 2"):
        formula.predict({"a": TEXTS, "b": TEXTS})
    with pytest.raises(ProgramError, match="'text' holds texts"):
        Formula.parse("text + 1", ["text"]).predict({"text": TEXTS})


def test_columns_are_those_of_one_table():
    formula = Formula.parse("x", ["x"])
    for columns, message in [
        ({}, "no column at all"),
        ({"x": X, "y": X[:2]}, "one length"),
        ({"x": X[:, None]}, "shape"),
        ({"y": X}, "no 'x', which the program uses"),
        ({"x": np.array([1.0, "a"], dtype=object)}, "neither numbers nor texts"),
    ]:
        with pytest.raises(InputError, match=message):
            formula.predict(columns)


REFUSED = {
    "name": ("z + 1", "'z' is neither a column nor a function"),
    "attribute of a column": ("x.real", "no attributes"),
    "attribute of a bracket": ("().__class__", r"'\.__class__'.*no attributes"),
    "subclasses": ("().__class__.__bases__[0].__subclasses__()", "no attributes"),
    "import": ("__import__('os').system('true')", "'__import__' is neither"),
    "import statement": ("import os", "'import' is neither"),
    "eval": ("eval('1')", "'eval' is neither"),
    "call of a result": ("sin(x)(x)", "a call of something that is no function"),
    "call of a column": ("x(3)", "a call of something that is no function"),
    "power tower": ("9**9**9", "power in an exponent"),
    "power tower in a function": ("9**sin(x^2)", "power in an exponent"),
    "power tower of superscripts": ("2**x²", "power in an exponent"),
    "exponent": ("x**21", "exponent 21; sizes up to 20"),
    "negative exponent": ("x**-20.5", "exponent -20.5; sizes up to 20"),
    "computed exponent": ("x**(3 * 7)", "exponent 21;"),
    "endless exponent": ("x**(1 / 0)", "exponent inf;"),
    "exponent that is no number": ("x**(0 / 0)", "exponent nan;"),
    "subscript": ("x[0]", r"'\[0\]' begins with a sign"),
    "lambda": ("lambda: 3", "'lambda' is neither"),
    "lambda with an argument": ("(lambda x: x)(3)", "'lambda' is neither"),
    "list comprehension": ("[x for x in range(10**9)]", "begins with a sign"),
    "generator": ("max(x for x in y)", "'for' is neither"),
    "dictionary": ("{x: 3}", "begins with a sign"),
    "walrus": ("(z := 3)", "'z' is neither"),
    "walrus of a column": ("(x := 3)", "':= 3"),
    "f-string": ("f'{x}'", "'f' is neither"),
    "bytes": ("b'x'", "'b' is neither"),
    "text": ("'x'", "stands alone"),
    "text in a function": ("sin('x')", "stands alone"),
    "text times a number": ("'x' * 10", "stands alone"),
    "texts side by side": ("has('a' 'b')", "cannot be read"),
    "count without quotes": ("count(x)", "one word or phrase in quotes"),
    "count of nothing": ("has(' ')", "one word or phrase in quotes"),
    "count of two": ("has('a', 'b')", "one word or phrase in quotes"),
    "length of something": ("length(x)", r"Write length\(\)"),
    "complex number": ("3j", "'j' is neither"),
    "starred": ("max(*x, 2)", "a starred argument"),
    "double starred": ("max(x, **y)", "arguments by name"),
    "argument by name": ("max(x, y=3)", "functions take no arguments by name"),
    "await": ("await x", "'await' is neither"),
    "yield": ("(yield x)", "'yield' is neither"),
    "ellipsis": ("x + ... + 1", "full stop"),
    "is": ("x is y", "'is' is neither"),
    "in": ("x in y", "'in' is neither"),
    "tuple": ("x, y", "a list of expressions"),
    "empty brackets": ("()", "a list of expressions"),
    "whole division": ("x // 2", "cannot be read at '/ 2'"),
    "remainder": ("x % 2", "'% 2' begins with a sign"),
    "matrix product": ("x @ y", "begins with a sign"),
    "bits": ("x & y", "begins with a sign"),
    "assignment": ("x = 3", "Write == for a comparison"),
    "second statement": ("x; y", "begins with a sign"),
    "comment": ("x # y", "begins with a sign"),
    "null byte": ("x\0", "begins with a sign"),
    "line continuation": ("x \\\n + 1", "begins with a sign"),
    "open quote": ("has('a)", "never closed"),
    "open backtick": ("`net price + 1", "never closed"),
    "other column": ("`net cost` + 1", "no column 'net cost'"),
    "function without brackets": ("sin x", "sin stands without brackets"),
    "no argument": ("sin()", "one number, not of 0"),
    "two arguments": ("log(x, 2)", "one number, not of 2"),
    "one argument": ("max(x)", "two numbers or more, not 1"),
    "too large a number": ("1e999", "too large"),
    "no expression": ("y = ", "empty"),
    "sentence": ("The output grows by 3", "'The' is neither"),
    "open bracket": ("(x + 1", "cannot be read"),
    "half": ("x +", r"cannot be read at 'x \+'"),
    "long": ("x + " * 500 + "x", "2,001 characters, and 2,000 are allowed"),
    "many parts": ("x+" * 100 + "x", "more than 200 parts"),
    "many arguments": (f"max({','.join('x' * 200)})", "more than 200 parts"),
    "deep brackets": ("(" * 100 + "x" + ")" * 100, "More than 60 brackets"),
    "deep calls": ("sin(" * 31 + "x" + ")" * 31, "more than 30 deep"),
    "deep signs": ("-" * 31 + "x", "more than 30 deep"),
    "deep choices": ("x if x else " * 31 + "x", "more than 30 deep"),
    "deep on the right": ("x - (" * 31 + "x" + ")" * 31, "more than 30 deep"),
    "very deep signs": ("-" * 1999 + "x", "more than 30 deep|too deeply"),
    "very deep nots": ("not " * 499 + "x", "more than 30 deep|too deeply"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(text, message):
    with pytest.raises(ProgramError, match=message) as caught:
        Formula.parse(text, ["x", "y", "net price"])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["x**20", "x**-20", "x**y", "x**(y + 1)", "(x**2)**3", "x**(40 / 2)"])
def test_allowed_powers(text):
    assert value_of(text).shape == X.shape


def test_a_sum_of_many_columns_is_not_deep():
    names = [f"c{number}" for number in range(49)]
    table = {name: np.array([float(number)]) for number, name in enumerate(names)}
    assert value_of(" + ".join(f"2*{name}" for name in names), names, table) == [2 * 49 * 48 / 2]
    assert value_of("-".join(names), names, table) == [-49 * 48 / 2]
    assert value_of("*".join(names[1:40]), names, table) == pytest.approx([math.factorial(39)])


def test_parameters_are_listed_in_the_order_of_reading():
    formula = Formula.parse("1 if x > -2 else 3 * x**4 - max(5, pi, x) / 6", ["x"])
    assert parameters_of(formula) == (1.0, -2.0, 3.0, 4.0, 5.0, 6.0)


def test_a_message_shows_no_more_than_sixty_characters_of_a_piece():
    with pytest.raises(ProgramError) as caught:
        Formula.parse("z" * 1000, ["x" * 1000])
    assert "z" * 59 + "…" in str(caught.value)
    assert "z" * 60 not in str(caught.value)
    assert "x" * 60 not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("((x) + (1)) * (x - (2 - x))", "(x + 1) * (x - (2 - x))"),
        ("(x*2) + (3/x) - (1 + x)", "x * 2 + 3 / x - (1 + x)"),
        ("(-2)^2 - -2 + (-x)^2 - (-(x^2))", "(-2)**2 - -2 + (-x)**2 - -x**2"),
        ("(x**2)**3", "(x**2)**3"),
        ("(x or y) and (not (x < y)) == 1", "(x or y) and (not x < y) == 1"),
        ("(x < y) < 3", "(x < y) < 3"),
        ("(x or y) or 1 and (x and y)", "(x or y) or 1 and (x and y)"),
        ("(x if y else 1) if (y if x else 2) else (3 if x else 4)", "(x if y else 1) if (y if x else 2) else 3 if x else 4"),
        ("1000000 + 0.1 + 1e300 + 1e-7", "1000000 + 0.1 + 1e+300 + 1e-07"),
        ("`x` + `net price`", "x + `net price`"),
        ("has('say \"so\"')", "has('say \"so\"')"),
    ],
)
def test_the_canonical_spelling(text, source):
    formula = Formula.parse(text, COLUMNS)
    assert formula.source == source
    assert Formula.parse(source, COLUMNS) == formula


@given(expressions)
def test_round_trip(text):
    formula = Formula.parse(text, ["x", "y"])
    assert Formula.parse(formula.source, ["x", "y"]) == formula


values = st.lists(st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.1, 0.5, 1.0, 2.0, 7.25]), min_size=3, max_size=3)


@given(expressions, values, values)
def test_python_agrees(text, x, y):
    formula = Formula.parse(text, ["x", "y"])
    predicted = formula.predict({"x": np.array(x), "y": np.array(y)})
    for found, one, other in zip(predicted, x, y, strict=True):
        expected = by_python(text, x=one, y=other)
        if expected is not None:
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
            assert by_python(formula.source, x=one, y=other) == pytest.approx(expected, rel=1e-9, abs=1e-12)
