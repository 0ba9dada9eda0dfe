"""Conditions as pairs of a text and what it means over one plain row: true, false, or None where that is unknown.

The meaning is built beside the text, not from it, so that whatever reads and runs the text can be held against it.
"""

import math
import re

from hypothesis import strategies as st


def missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def comparison(operator, get, other):
    """Meaning of ``column operator other``; `other` takes the row too."""

    def meaning(row):
        left, right = get(row), other(row)
        if missing(left) or missing(right):
            return None
        return {
            "=": left == right, "!=": left != right, "<>": left != right,
            "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right,
        }[operator]  # fmt: skip

    return meaning


def negation(meaning):
    return lambda row: None if meaning(row) is None else not meaning(row)


def every(meanings):
    def meaning(row):
        found = [each(row) for each in meanings]
        return False if False in found else None if None in found else True

    return meaning


def some(meanings):
    return negation(every([negation(each) for each in meanings]))


def like(get, pattern):
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    expression = "".join({"%": ".*", "_": "."}.get(part, re.escape(part[-1])) for part in parts)

    def meaning(row):
        value = get(row)
        return None if missing(value) else re.fullmatch(expression, value, re.DOTALL) is not None

    return meaning


def text_literal(value):
    return "'" + value.replace("'", "''") + "'"


def written(name):
    """The ways to name a column."""
    ways = [f'"{name}"', f"`{name}`"]
    return st.sampled_from([name, *ways] if re.fullmatch(r"[A-Za-z]\w*", name) else ways)


@st.composite
def simple(draw, columns):
    """A condition on one column. `columns` gives, by name, a kind and a strategy of its values."""
    name = draw(st.sampled_from(sorted(columns)))
    kind, values = columns[name]
    column = draw(written(name))
    literal = {"text": text_literal, "bool": lambda value: str(value).lower()}.get(kind, repr)

    def get(row):
        return row[name]

    def drawn():
        value = draw(values)
        return literal(value), lambda row: value

    forms = ["compare", "null", "in"]
    forms += {"text": ["like", "between"], "bool": ["bare", "bare"]}.get(kind, ["between", "turned"])
    form = draw(st.sampled_from(forms))
    operator = draw(st.sampled_from(["=", "!=", "<>"] if kind == "bool" else ["=", "!=", "<>", "<", "<=", ">", ">="]))
    negated = draw(st.booleans())
    word = " NOT" if negated else ""
    if form == "bare":
        return column, comparison("=", get, lambda row: True)
    if form == "null":
        return f"{column} IS{word} NULL", lambda row: missing(get(row)) != negated
    if form == "like":
        pattern = "".join(draw(st.lists(st.sampled_from(["a", "b", "%", "_", "\\%", "\\\\", "'", "\n", "é"]), max_size=4)))
        text, meaning = f"{column}{word} LIKE {text_literal(pattern)}", like(get, pattern)
        return text, negation(meaning) if negated else meaning
    if form == "in":
        listed = [drawn() for _ in range(draw(st.integers(1, 3)))]
        text, meaning = f"{column}{word} in ({', '.join(each for each, _ in listed)})", some([comparison("=", get, v) for _, v in listed])
        return text, negation(meaning) if negated else meaning
    text, value = drawn()
    if form == "between":
        high, most = drawn()
        meaning = every([comparison(">=", get, value), comparison("<=", get, most)])
        return f"{column}{word} BETWEEN {text} and {high}", negation(meaning) if negated else meaning
    if form == "turned":
        turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
        return f"{text} {operator} {column}", comparison(turned, get, value)
    return f"{column} {operator} {text}", comparison(operator, get, value)


def conditions(columns):
    """Conditions joined and turned round."""

    def joined(parts):
        listed = st.lists(parts, min_size=2, max_size=3)
        return st.one_of(
            listed.map(lambda found: (" AND ".join(f"({text})" for text, _ in found), every([meaning for _, meaning in found]))),
            listed.map(lambda found: (" or ".join(f"({text})" for text, _ in found), some([meaning for _, meaning in found]))),
            parts.map(lambda found: (f"NOT ({found[0]})", negation(found[1]))),
        )

    return st.recursive(simple(columns), joined, max_leaves=6)
