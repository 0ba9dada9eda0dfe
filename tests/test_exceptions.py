"""The tree of errors is the one drawn at the top of its module."""

import inspect
import re

import pytest

from lexframe import exceptions

ERRORS = {name: cls for name, cls in vars(exceptions).items() if inspect.isclass(cls) and issubclass(cls, Exception)}


def test_the_drawn_tree_is_the_real_one():
    drawn, parents = {}, []
    for line in exceptions.__doc__.splitlines():
        found = re.match(r"^( {4}[│├└─ ]*)(\w+(?:Error|Mismatch))(.*)$", line)
        if not found:
            continue
        depth = (len(found[1]) - 4) // 4
        parents[depth:] = [found[2]]
        also = re.search(r"also an? (\w+)", found[3])
        drawn[found[2]] = (parents[depth - 1] if depth else "Exception", also[1] if also else None)
    assert set(drawn) == set(ERRORS)
    for name, (parent, also) in drawn.items():
        bases = [base.__name__ for base in ERRORS[name].__bases__]
        assert bases == [parent, *([also] if also else [])], name


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_error_is_a_lexframe_error_with_a_docstring(name):
    assert issubclass(ERRORS[name], exceptions.LexframeError)
    assert ERRORS[name].__doc__


def test_a_mismatch_keeps_both_sides_and_says_what_to_do():
    error = exceptions.FingerprintMismatch("space A", "space B", "adapter/")
    assert (error.expected, error.found, error.what) == ("space A", "space B", "adapter/")
    assert str(error).startswith("adapter/ was fitted on the space space A, but the space given is space B.")
    assert "fit it again" in str(error)


def test_a_missing_extra_names_its_install_line():
    assert "pip install 'lexframe[peft]'" in str(exceptions.MissingExtraError("peft", "peft"))


@pytest.mark.parametrize("name", ["InputError", "DataError", "ModelError", "VocabularyError"])
def test_an_error_of_input_names_the_parameters_that_are_meant(name):
    import pickle

    assert ERRORS[name]("wrong").parameters == ()
    assert ERRORS[name]("wrong", parameter="lr").parameters == ("lr",)
    several = pickle.loads(pickle.dumps(ERRORS[name]("wrong", parameter=["lr", "seed"])))  # as it comes back from a worker
    assert (str(several), several.parameters) == ("wrong", ("lr", "seed"))
