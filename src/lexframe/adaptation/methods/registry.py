"""Methods by name: a table of paths, groups of names, and what other packages add."""

import importlib
import importlib.metadata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lexframe.adaptation.problem import TEXTS, Method
from lexframe.exceptions import InputError

ENTRY_POINTS = "lexframe.methods"


@dataclass(frozen=True, slots=True)
class Listed:
    """Where a method is.

    Attributes
    ----------
    path : str
        ``module:Class``, the module within this package.
    parameters : mapping
        Of the class, for variants.
    """

    path: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def make(self) -> Method:
        """The method itself."""
        module, name = self.path.split(":")
        made: Method = getattr(importlib.import_module(f"lexframe.adaptation.methods.{module}"), name)(**self.parameters)
        return made


METHODS = {
    "zero-shot": Listed("zero_shot:ZeroShot"),
    "contextual-calibration": Listed("zero_shot:ContextualCalibration"),
    "batch-calibration": Listed("zero_shot:BatchCalibration"),
    "nearest-basis": Listed("zero_shot:NearestBasisZeroShot"),
    "tfidf": Listed("lexical:Tfidf"),
    "lexical-nb": Listed("lexical:LexicalNBMethod"),
    "icl-random": Listed("in_context:RandomInContext"),
    "icl-nearest": Listed("in_context:NearestInContext"),
    "knn-prompting": Listed("knn_prompting:KNNPrompting"),
    "knn": Listed("nearest_points:NearestPoints"),
    "class-mean": Listed("class_mean:ClassMean"),
    "lda": Listed("linear:LDA"),
    "logistic": Listed("linear:Logistic"),
    "lda-all": Listed("linear:LDA", {"together": True}),
    "logistic-all": Listed("linear:Logistic", {"together": True}),
    "semantic-calibration": Listed("semantic_calibration:SemanticCalibrationMethod"),
    "posterior": Listed("posterior:PosteriorMethod"),
    "posterior-labels-only": Listed("posterior:PosteriorMethod", {"unlabeled": False}),
    "lora": Listed("peft:LoRA"),
    "ia3": Listed("peft:IA3"),
    "fine-tuning": Listed("fine_tuning:FineTuning"),
    "setfit": Listed("setfit:SetFit"),
}
ABLATIONS = {
    **{
        f"semantic-calibration-{variant}": Listed("semantic_calibration:SemanticCalibrationMethod", {"variant": variant})
        for variant in ("cosine", "vocabulary", "gold", "similarity-matrix", "matrix-similarity", "matrix")
    },
    "posterior-without-prior": Listed("posterior:PosteriorMethod", {"prior": False}),
    "posterior-own-points": Listed("posterior:PosteriorMethod", {"representations": "own"}),
}
DEFAULT = ("zero-shot", "nearest-basis", "tfidf", "lexical-nb", "lda", "logistic", "semantic-calibration", "posterior")
"""What :func:`lexframe.adapt` fits unless it is told otherwise."""
GROUPS = ("default", "quick", "all", "ablations")
_EARLIER = {"vds": "semantic-calibration", "n-grams": "tfidf"}
"""The paper's own abbreviation, alone and in front of a variant, and what a method was called before."""


def method_names(group: str = "all") -> tuple[str, ...]:
    """Names of a group of methods, in the order in which they are fitted.

    Parameters
    ----------
    group : {"all", "default", "quick", "ablations"}
        ``all`` holds what installed packages add, ``default`` what :func:`lexframe.adapt` fits, ``quick`` those of ``all`` for which
        the model reads a text once, ``ablations`` variants that show what a part of a method adds.

    Raises
    ------
    InputError
        If there is no such group.
    """
    if group not in GROUPS:
        raise InputError(f"There is no group of methods {group!r}; there are {', '.join(GROUPS)}.")
    if group == "ablations":
        return tuple(ABLATIONS)
    names = DEFAULT if group == "default" else (*METHODS, *_added())
    return tuple(name for name in names if _made(name).is_quick) if group == "quick" else names


def make_methods(asked: str | Iterable[str | Method] = "default") -> list[Method]:
    """Methods by name.

    Parameters
    ----------
    asked : str or iterable of str or Method
        Names of methods or of groups (see :func:`method_names`), comma-separated in one text or one by one; methods that are made
        already stay as they are. ``vds`` is another name of ``semantic-calibration``, ``n-grams`` of ``tfidf``.

    Returns
    -------
    list of Method
        Those by name in the order of the tables, then those that were given; none twice.

    Raises
    ------
    InputError
        If there is no such method, or none was given.
    """
    given = [asked] if isinstance(asked, str) else list(asked)
    names = [_full_name(part.strip()) for text in given if isinstance(text, str) for part in text.split(",")]
    known = (*METHODS, *ABLATIONS, *_added())
    wanted: set[str] = set()
    for name in names:
        if name not in known and name not in GROUPS:
            raise InputError(f"There is no method {name!r}; there are {', '.join([*known, *GROUPS])}.")
        wanted.update(method_names(name) if name in GROUPS else (name,))
    made = [_made(name) for name in known if name in wanted]
    made += [method for method in given if isinstance(method, Method) and method.name not in wanted]
    if not made:
        raise InputError(f"No method was given; there are {', '.join([*known, *GROUPS])}.")
    return made


def require_savable(methods: Iterable[Method]) -> None:
    """Refuse methods whose classifiers cannot be kept as an adapter.

    Those that learn nothing from labels, or never ask the model, are passed over where others do, since they are never chosen.

    Parameters
    ----------
    methods : iterable of Method

    Raises
    ------
    InputError
        Naming them.
    """
    compete = competing(list(methods))
    names = [method.name for method in compete if not method.savable]
    if names:
        savable = ", ".join(name for name in DEFAULT if _made(name).savable)
        raise InputError(f"An adapter cannot be saved of {', '.join(names)}. Choose among methods that can be saved, such as {savable}.")


def competing(methods: list[Method]) -> list[Method]:
    """Methods that may be chosen: those that learn from labels and ask the model; without any, those that learn, or the last."""
    learning = [method for method in methods if method.learns]
    return [method for method in learning if method.family != TEXTS] or learning or methods[-1:]


def _full_name(name: str) -> str:
    for earlier, now in _EARLIER.items():
        if name == earlier or name.startswith(f"{earlier}-"):
            return now + name.removeprefix(earlier)
    return name


def _added() -> dict[str, importlib.metadata.EntryPoint]:
    """What installed packages add, by name; a name of ours stays ours."""
    found = importlib.metadata.entry_points(group=ENTRY_POINTS)
    return {entry.name: entry for entry in found if entry.name not in METHODS and entry.name not in ABLATIONS}


def _made(name: str) -> Method:
    listed = METHODS.get(name) or ABLATIONS.get(name)
    if listed is not None:
        return listed.make()
    entry = _added()[name]
    made = entry.load()
    if not (isinstance(made, type) and issubclass(made, Method)):
        raise InputError(
            f"The method {name!r} of {entry.value} is no subclass of lexframe.adaptation.Method. Update or remove its package."
        )
    method: Method = made()
    if method.name != name:
        raise InputError(f"{entry.value} is listed as the method {name!r}, and calls itself {method.name!r}. Update or remove its package.")
    return method
