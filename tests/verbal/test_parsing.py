"""What a model wrote: strict, tolerant, and never out of nothing."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.verbal.parsing import MOST_LETTERS, UnreadableError, parse_label, parse_number, parse_proposal, sections
from lexframe.verbal.task import Task

NUMBERS = Task(("x",))
WORDS = Task(("x",), kind="sentences")
LABELS = Task(("text",), labels=("billing", "other"), text_columns=("text",))


def test_sections_stand_under_headings_that_begin_a_line():
    text = "intro\n**Reasoning:** it: grows\n## New Pattern Descriptions: y = 3x\nmore\nFormula: 3*x"
    found = sections(text, ["Reasoning", "New Pattern Descriptions", "Formula"])
    assert found == {"Reasoning": "it: grows", "New Pattern Descriptions": "y = 3x\nmore", "Formula": "3*x"}
    assert sections("a Reasoning: b", ["Reasoning"]) == {}
    assert sections("Reasoning: a\nREASONING: b", ["Reasoning"]) == {"Reasoning": "b"}


@pytest.mark.parametrize(
    ("text", "value", "strict"),
    [
        ("Explanation: 1 and 2\nOutput: 3.5", 3.5, True),
        ("output: **−4,25**", -4.25, True),
        ("Output:\n1e3 apples", 1000.0, True),
        ("Output: 1,234", 1234.0, True),
        ("Output: $12,500.75", 12500.75, True),
        ("Output: y2 = 7", 7.0, True),
        ("Output: 2*3 + 1 = 7", 7.0, True),
        ("Output: -\u00a05", -5.0, True),
        ("Output: − 5 degrees\nbecause of 3 things", -5.0, True),
        ("The answer of 2 + 2 is 4.", 4.0, False),
        ("Output: unknown, though 12 is near", 12.0, True),
        ("-.5", -0.5, False),
    ],
)
def test_numbers(text, value, strict):
    found = parse_number(text)
    assert (found.value, found.strict) == (value, strict)


@pytest.mark.parametrize(
    "text", ["", "no idea", "Output: nan", "Output: NaN 5", "Output: inf", "Output: 1e999", "Output: 3 or 4", "Output: 1 234"]
)
def test_no_number(text):
    with pytest.raises(UnreadableError):
        parse_number(text)


@pytest.mark.parametrize(
    ("text", "labels", "value", "strict"),
    [
        ("Output: Billing.", ("billing", "other"), "billing", True),
        ('Explanation: other things\nOutput: "billing"', ("billing", "other"), "billing", True),
        ("It is clearly billing!", ("billing", "other"), "billing", False),
        ("Output: Output: yes", ("Output: yes", "no"), "Output: yes", True),
        ("Output: {text}", ("{text}", "other"), "{text}", True),
        ("very negative", ("negative", "very negative"), "very negative", False),
        ("Output: Good.", ("Good.", "Good"), "Good.", True),
        ("Output: it", ("IT", "it"), "it", True),
        ("Output: a b", ("a\nb", "c"), "a\nb", True),
    ],
)
def test_labels(text, labels, value, strict):
    found = parse_label(text, labels)
    assert (found.value, found.strict) == (value, strict)


def test_labels_that_differ_in_case_alone_are_told_apart_or_not_read():
    with pytest.raises(UnreadableError):
        parse_label("Output: It", ("IT", "it"))


@pytest.mark.parametrize("text", ["", "billing or other", "neither", "Output: billings"])
def test_no_label(text):
    with pytest.raises(UnreadableError):
        parse_label(text, ("billing", "other"))


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text):
    for parse in (parse_number, lambda each: parse_label(each, ("a", "b")), lambda each: parse_proposal(each, NUMBERS)):
        with suppress(UnreadableError):
            assert parse(text).strict in (True, False)


def test_a_proposal_with_a_formula():
    found = parse_proposal("Reasoning: slope.\nNew Pattern Descriptions: A line.\nFormula: y = 2*x + 1", NUMBERS)
    assert found.strict
    assert found.value.reasoning == "slope."
    assert found.value.parameters.sentences == "A line."
    assert found.value.parameters.program.predict({"x": np.array([3.0])}).tolist() == [7.0]


def test_a_fence_around_a_block_is_none_of_it():
    found = parse_proposal("Reasoning: a\nNew Pattern Descriptions: b\nFormula:\n```\ny = x\n```", NUMBERS)
    assert found.value.parameters.program.predict({"x": np.array([3.0])}).tolist() == [3.0]


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        ("Reasoning: a\nNew Pattern Descriptions: b", NUMBERS, "no Formula block"),
        ("Reasoning: a\nNew Pattern Descriptions: b\nFormula: __import__('os')", NUMBERS, "."),
        ("Reasoning: a\nNew Pattern Descriptions:", WORDS, "no text under"),
        ("Reasoning: a\nNew Pattern Descriptions: " + "b" * (MOST_LETTERS + 1), WORDS, "letters, more than"),
        ("nothing", LABELS, "no Rules or Lookup block"),
        ('New Pattern Descriptions: b\nRules: if has("x") then unknown', LABELS, "unknown"),
    ],
)
def test_no_proposal(text, task, message):
    with pytest.raises(UnreadableError, match=message):
        parse_proposal(text, task)


def test_rules_and_lookups_for_texts():
    rules = parse_proposal('New Pattern Descriptions: b\nRules: if has("refund") then billing\nelse other', LABELS).value.parameters
    lookup = parse_proposal("New Pattern Descriptions: b\nLookup: refund -> billing\ndefault -> other", LABELS).value.parameters
    texts = {"text": np.array(["A refund!", "Hello"], dtype=object)}
    assert rules.program.predict(texts).tolist() == lookup.program.predict(texts).tolist() == ["billing", "other"]


def test_examples_are_rows_that_were_shown():
    task = Task(("x",), kind="examples")
    shown = [("x = 1", "2"), ("x = 2", "4"), ("x = 3", "6")]
    found = parse_proposal("Reasoning: a\nNew Pattern Descriptions: Double it.\nExamples: 3, 1, 3, 9", task, shown)
    assert found.value.parameters.examples == (("x = 3", "6"), ("x = 1", "2"))
    assert "x = 3 -> 6" in found.value.parameters.text
