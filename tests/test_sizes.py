"""Files and signatures stay small enough to be read at once."""

import ast
from pathlib import Path

import pytest

import lexframe

ROOT = Path(lexframe.__file__).parent
MAX_LINES = 400
REASON = "Long because"
"""What a sentence begins with, among the first lines of a longer file, that says why it is not two."""
FIRST_LINES = 12
MAX_PARAMETERS = 8
MAX_WIDE_FUNCTIONS = 10


def is_long_without_a_reason(text):
    lines = text.splitlines()
    return len(lines) > MAX_LINES and not any(REASON in line for line in lines[:FIRST_LINES])


def wide_functions(text, where):
    """Functions with more parameters than can be kept in mind; estimators take their settings one by one, as scikit-learn asks."""
    found = []

    def visit(node, names, is_estimator):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                visit(child, [*names, child.name], any(ast.unparse(base).endswith("Estimator") for base in child.bases))
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                given = child.args
                parameters = [item.arg for item in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
                parameters += [item.arg for item in (given.vararg, given.kwarg) if item is not None]
                number = len(parameters) - (parameters[:1] in (["self"], ["cls"]))
                if number > MAX_PARAMETERS and not (is_estimator and child.name == "__init__"):
                    found.append(f"{where}: {'.'.join([*names, child.name])} has {number}")
                visit(child, [*names, child.name], False)
            else:
                visit(child, names, is_estimator)

    visit(ast.parse(text), [], False)
    return found


def test_a_long_file_says_why():
    long = [str(path.relative_to(ROOT)) for path in sorted(ROOT.rglob("*.py")) if is_long_without_a_reason(path.read_text())]
    assert not long, f"Files over {MAX_LINES} lines. Split them by idea, or say in the first lines '{REASON} ...': {', '.join(long)}."


def test_few_functions_have_many_parameters():
    wide = []
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT)
        if place.parts[0] != "cli":  # a command has a parameter for every option
            wide += wide_functions(path.read_text(), str(place))
    assert len(wide) <= MAX_WIDE_FUNCTIONS, (
        f"{len(wide)} functions have more than {MAX_PARAMETERS} parameters; {MAX_WIDE_FUNCTIONS} may. Group what belongs together:\n"
        + "\n".join(wide)
    )


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("x = 1\n" * 400, False),
        ("x = 1\n" * 401, True),
        ('"""A table.\n\nLong because every row is one line.\n"""\n' + "x = 1\n" * 401, False),
        ("x = 1\n" * 401 + "# Long because nobody looked here.\n", True),
    ],
)
def test_the_ruler_of_files(text, is_found):
    assert is_long_without_a_reason(text) == is_found


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f(a, b, c, d, e, f, g, h): ...", []),
        ("def f(a, b, c, d, e, f, g, h, i): ...", ["f has 9"]),
        ("def f(a, b, /, c, d, e, *rest, f, g, **more): ...", ["f has 9"]),
        ("class A:\n    def f(self, a, b, c, d, e, f, g, h): ...", []),
        ("class A:\n    def f(self, a, b, c, d, e, f, g, h, i): ...", ["A.f has 9"]),
        ("class A(BaseEstimator):\n    def __init__(self, a, b, c, d, e, f, g, h, i): ...", []),
        ("class A(BaseEstimator):\n    def f(self, a, b, c, d, e, f, g, h, i): ...", ["A.f has 9"]),
        ("def f():\n    if True:\n        def g(a, b, c, d, e, f, g, h, i): ...", ["f.g has 9"]),
    ],
)
def test_the_ruler_of_functions(text, names):
    assert wide_functions(text, "m.py") == [f"m.py: {name}" for name in names]
