import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.verbal.language import ProgramError, Rules, columns_of

from .expressions import by_python, exact

LABELS = ["low", "high", "Not Sure"]
TABLE = {"x": np.array([0.0, 1.0, 2.0, 3.0]), "net price": np.array([9.0, 0.0, 9.0, 0.0])}


def labels_of(text, labels=LABELS, table=TABLE):
    return Rules.parse(text, list(table), labels).predict(table).tolist()


def test_the_first_rule_that_holds_wins():
    rules = Rules.parse("if x > 2 then high\nif x > 0 then low\nelse Not Sure", ["x"], LABELS)
    predicted = rules.predict(TABLE)
    assert predicted.dtype == object
    assert predicted.tolist() == ["Not Sure", "low", "low", "high"]
    assert (rules.kind, columns_of(rules)) == ("rules", {"x"})
    assert rules.source == 'if x > 2 then "high"\nif x > 0 then "low"\nelse "Not Sure"'


def test_rows_that_no_rule_covers_are_empty():
    assert labels_of("if x > 2 then high") == ["", "", "", "high"]


def test_an_else_line_alone():
    assert labels_of("else low") == ["low"] * 4


@pytest.mark.parametrize(
    "text",
    [
        'if x > 1 and `net price` < 5 then "high"\nelse "low"',
        "1. IF x > 1 AND `net price` < 5 THEN HIGH.\n2. OTHERWISE: low.",
        "- if x > 1 and `net price` < 5 -> 'high'\n- otherwise, low",
        "if x > 1 and `net price` < 5: high\nelse: low",
        "if x <= 1 → low\nelse if `net price` >= 5 => “low”\nelse → high",
        "```\nif x > 1 and `net price` < 5 then: high;\n\r\nelse then low\n```",
        "if not (x > 1 and `net price` < 5) then low\nelif 1 then high",
        "if x - 2 > 0 then high\ndefault -> low",
    ],
)
def test_rules_as_language_models_write_them(text):
    assert labels_of(text) == ["low", "low", "low", "high"]


def test_rules_about_words():
    table = {"text": np.array(["Then came rain: bad", "good if late", "nothing"], dtype=object)}
    text = 'if has("then") and count("bad") >= 1 then low\nif has("if") and length() == 3 then high'
    assert labels_of(text, table=table) == ["low", "high", ""]


def test_labels_are_matched_exactly_before_anything_else():
    assert labels_of("if x then a\nelse A", ["A", "a"]) == ["A", "a", "a", "a"]
    assert labels_of('if x then "a"\nelse then b', ["a", '"a"', "then b", "b"]) == ["b", "a", "a", "a"]
    assert labels_of("else not sure") == ["Not Sure"] * 4


REFUSED = {
    "other label": ("if x > 1 then medium", "'medium' is not a label. Labels are 'low', 'high', 'Not Sure'"),
    "other label at the end": ("if x > 1 then low\nelse nothing", "'nothing' is not a label"),
    "no label": ("if x > 1 then", "'' is not a label"),
    "no then": ("if x > 1", "has no label"),
    "no rule": ("x > 1", "is no rule"),
    "nothing": (" \n ", "has no rule"),
    "a line after else": ("else low\nif x > 1 then high", "after the else line"),
    "two else lines": ("else low\nelse high", "after the else line"),
    "no condition": ("if then low", "The expression is empty"),
    "other column": ("if z > 1 then low", "'z' is neither"),
    "attribute": ("if x.real then low", "no attributes"),
    "power tower": ("if 9**9**9 > x then low", "power in an exponent"),
    "many rules": ("if x then low\n" * 51, "51 rules, and 50 are allowed"),
    "long": ("if x then low\n" + " " * 2000, "2,000 are allowed"),
    "long in full": ("if 2x then low\n" * 50 + "if " + "x" * 1100 + ": low", "neither a column"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(text, message):
    with pytest.raises(ProgramError, match=message) as caught:
        Rules.parse(text, ["x"], LABELS)
    assert "\n" not in str(caught.value)


def test_a_full_spelling_that_is_too_long_is_refused():
    text = "if " + "x<1 and " * 30 + "x: low\n"
    n_lines = 2000 // len(text)
    with pytest.raises(ProgramError, match="in its full spelling has"):
        Rules.parse(text * n_lines, ["x"], LABELS)


def test_fifty_rules():
    assert len(Rules.parse("if x then low\n" * 50, ["x"], LABELS).rules) == 50


def test_labels_that_differ_in_case_alone():
    with pytest.raises(ProgramError, match=r"could be several labels\. Labels are 'US', 'us'"):
        Rules.parse("else Us", [], ["US", "us"])


@pytest.mark.parametrize("labels", [[], [""], ["a", "a"], ["a\nb"]])
def test_labels_that_are_none(labels):
    with pytest.raises(InputError, match="expected different texts of one line"):
        Rules.parse("else a", ["x"], labels)


some_labels = st.lists(st.text(min_size=1, max_size=8).filter(lambda t: not set(t) & set("\r\n")), min_size=1, max_size=4, unique=True)


@given(st.lists(exact, max_size=4), some_labels, st.data())
def test_round_trip(conditions, labels, data):
    drawn = st.sampled_from(labels)
    lines = [f'if {condition} then "{data.draw(drawn)}"' for condition in conditions]
    program = Rules.parse("\n".join([*lines, f'else "{data.draw(drawn)}"']), ["x", "y"], labels)
    assert Rules.parse(program.source, ["x", "y"], labels) == program
    assert [rule.label for rule in program.rules] == [line.split(" then ", 1)[1][1:-1] for line in lines]


@given(st.lists(exact, min_size=1, max_size=4), st.sampled_from([-1.0, 0.0, 0.5, 3.0]), st.sampled_from([-2.0, 0.0, 1.0]))
def test_python_agrees(conditions, x, y):
    program = Rules.parse(
        "\n".join(f"if {condition} then {number}" for number, condition in enumerate(conditions)), ["x", "y"], [*map(str, range(4))]
    )
    values = [by_python(condition, x=x, y=y) for condition in conditions]
    if None not in values:
        expected = next((str(number) for number, value in enumerate(values) if value), "")
        assert program.predict({"x": np.array([x]), "y": np.array([y])}).tolist() == [expected]
