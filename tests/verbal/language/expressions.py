"""Expressions that property tests draw, and what Python itself makes of them."""

import math
import re

from hypothesis import strategies as st

NAMES = ("x", "y")
_NUMBER = re.compile(r"(?<![\w.])\d+\.?\d*(?:e[-+]?\d+)?")

# What IEEE fixes to the last bit may stand where a hair's breadth decides: below comparisons, floor, round and sign.
_numbers = st.sampled_from(["0", "1", "2", "3", "0.5", "1.25", "10", "1e-3", "2.5e2"])
_exact_leaves = _numbers | st.sampled_from(NAMES)


def _exact(inner):
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(st.sampled_from(["+", "-", "*", "/"]), pair).map(lambda t: f"({t[1][0]}) {t[0]} ({t[1][1]})"),
        st.tuples(st.sampled_from(["+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=", "and", "or"]), pair).map(
            lambda t: f"({t[1][0]} {t[0]} {t[1][1]})"
        ),
        st.tuples(inner, st.sampled_from(["<", ">=", "!="]), inner, st.sampled_from(["<=", "=="]), inner).map(lambda t: f"({' '.join(t)})"),
        inner.map(lambda t: f"-{t}"),
        inner.map(lambda t: f"(not {t})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        st.tuples(st.sampled_from(["abs", "floor", "round", "sign", "sqrt"]), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(st.sampled_from(["min", "max"]), st.lists(inner, min_size=2, max_size=3)).map(lambda t: f"{t[0]}({', '.join(t[1])})"),
    )


def _smooth(inner):
    return st.one_of(
        st.tuples(st.sampled_from(["sin", "cos", "tan", "exp", "log", "tanh"]), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(inner, st.sampled_from(["2", "3", "-1", "0.5", "x", "(y + 1)"])).map(
            lambda t: (f"({t[0]})" if "**" in t[0] else t[0]) + f"**{t[1]}"  # a power of a power, rather than a tower, which is refused
        ),
        st.tuples(inner, st.sampled_from([" + ", "-", "*", " / "]), inner).map(lambda t: "".join(t)),
        st.tuples(inner, inner).map(lambda t: f"({t[0]}) - ({t[1]})"),
        inner.map(lambda t: f"-({t})"),
    )


exact = st.recursive(_exact_leaves, _exact, max_leaves=8)
expressions = exact | st.recursive(exact | st.sampled_from(["pi", "e"]), _smooth, max_leaves=4)

FUNCTIONS = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "sqrt": math.sqrt,
    "abs": abs,
    "min": min,
    "max": max,
    "floor": lambda v: float(math.floor(v)),
    "round": lambda v: float(round(v)),
    "sign": lambda v: float((v > 0) - (v < 0)),
    "pi": math.pi,
    "e": math.e,
    "__builtins__": {},
}


def by_python(text, **values):
    """The value by Python's own rules; None where Python raises what NumPy answers with nan or inf, or leaves the real numbers."""
    floats = _NUMBER.sub(lambda number: repr(float(number[0])), text)  # Python's whole numbers would be exact beyond those of a double
    try:
        value = eval(floats, {**FUNCTIONS, **values})
    except (ZeroDivisionError, OverflowError, ValueError, TypeError):
        return None
    return None if isinstance(value, complex) or not math.isfinite(value) else float(value)
