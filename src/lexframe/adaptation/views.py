"""Several models at once: what each is called, its words for the labels, and which methods read which of them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lexframe.adaptation.fitted import Fitted, SavableClassifier
from lexframe.adaptation.problem import TEXTS, Classifier, Method, Probabilities, Problem, Rows
from lexframe.exceptions import InputError, VocabularyError
from lexframe.latents.text_reader import TextReader
from lexframe.spaces.base import Space, VocabularySpace
from lexframe.typing import ModelName

Model = Space | TextReader | ModelName
LabelWords = Mapping[str, Sequence[str]]


def models_by_name(given: Any) -> dict[str, Model]:
    """Models by what people call them, whichever way they are given; of two with one name the later one is told apart by a number.

    Parameters
    ----------
    given : Space, TextReader, str, mapping of str to these, or iterable of these

    Raises
    ------
    InputError
        If there is none.
    """
    if isinstance(given, Mapping):
        found = {str(name): space for name, space in given.items()}
    else:
        alone = isinstance(given, str | os.PathLike | Space | TextReader) or not isinstance(given, Iterable)
        found = {}
        for space in [given] if alone else given:
            name = _name(space)
            twice = sum(other == name or other.startswith(f"{name} (") for other in found)
            found[f"{name} ({twice + 1})" if twice else name] = space
    if not found:
        raise InputError("No model is given. Name one or more, such as 'embedded'.")
    return found


def together(names: Iterable[str]) -> str:
    """What several models are called that are read at once."""
    return " + ".join(names)


def words_of_models(
    label_words: LabelWords | Mapping[str, LabelWords] | None, names: Sequence[str]
) -> dict[str, Mapping[str, Sequence[str]] | None]:
    """Words for the labels by model: those that are given for all, or for each its own; None where each label's name stands for it.

    Parameters
    ----------
    label_words : mapping of str to sequence of str, mapping of str to such mappings, or None
        By label, or by model and label.
    names : sequence of str
        Of the models.

    Raises
    ------
    InputError
        If words are given by model, and a model has none or is none of these.
    """
    if not label_words or not all(isinstance(listed, Mapping) for listed in label_words.values()):
        return dict.fromkeys(names, label_words)  # type: ignore[arg-type]  # it is a mapping of words
    lacking = [name for name in names if name not in label_words]
    unknown = [name for name in label_words if name not in names]
    if lacking or unknown:
        what = f"none are given for {lacking[0]!r}" if lacking else f"{unknown[0]!r} is none of the models"
        raise InputError(f"Label words are given by model, and {what}; the models are {', '.join(names)}.", parameter="label_words")
    return {name: label_words[name] for name in names}  # type: ignore[misc]


def require_words(name: str, space: Space, words: LabelWords) -> None:
    """Refuse labels without a word that a model knows.

    Parameters
    ----------
    name : str
        Of the model.
    space : Space
    words : mapping of str to sequence of str

    Raises
    ------
    InputError
        If a label has no word, or one that the vocabulary of the model lacks.
    """
    for label, listed in words.items():
        if not listed:
            raise InputError(f"The label {label!r} has no words in {name}. Give one or more.", parameter="label_words")
        if isinstance(space, VocabularySpace):
            try:
                for word in listed:
                    space.word_ids(word)
            except VocabularyError as error:
                raise InputError(f"The label {label!r} has a word that {name} does not know: {error}", parameter="label_words") from error


class OnView(Method):
    """A method that reads one of several models.

    Parameters
    ----------
    method : Method
    number : int
        Of the model.
    view : str
        What people call it.
    """

    def __init__(self, method: Method, number: int, view: str):
        self.method, self.number, self.view = method, number, view
        what, _, more = method.description.partition(":")
        self.name, self.description = f"{method.name} ({view})", f"{what}, {view} alone" + (f":{more}" if more else "")
        self.family, self.least_shots, self.uses_unlabeled = method.family, method.least_shots, method.uses_unlabeled
        self.variant, self.control, self.savable = method.variant, method.control, method.savable

    def key(self) -> dict[str, Any]:
        """That of the method, with the model."""
        return {**self.method.key(), "view": self.view}

    @property
    def is_quick(self) -> bool:
        """As the method is."""
        return self.method.is_quick

    @property
    def learns(self) -> bool:
        """As the method does."""
        return self.method.learns

    def obstacle(self, space: Space) -> str | None:
        """That of the method."""
        return self.method.obstacle(space)

    def seen(self, problem: Problem) -> Problem:
        """The problem with that model alone."""
        return problem.of_view(self.number)

    def fit(self, problem: Problem) -> Classifier:
        """Fit the method."""
        found = self.method.fit(problem)
        if not isinstance(found, SavableClassifier):
            return found
        return OnViewClassifier(found, self.number, found.n_parameters, found.choices)


@dataclass
class OnViewClassifier:
    """A classifier that reads one of several models, and says which when it is kept."""

    classifier: SavableClassifier
    view: int
    n_parameters: int
    choices: dict[str, Any]

    def predict_proba(self, rows: Rows) -> Probabilities:
        """Of the classifier."""
        return self.classifier.predict_proba(rows)

    def fitted(self) -> Fitted:
        """What is kept of the classifier, which reads that model."""
        kept = self.classifier.fitted()
        return replace(kept, views=tuple(replace(read, view=self.view) for read in kept.views))


def methods_on(methods: Sequence[Method], spaces: Mapping[str, Space]) -> tuple[list[Method], dict[str, str]]:
    """Methods that can work on some models, and by name why the others cannot.

    Of several models a method reads one each, and all of them at once where it can; n-grams ask none and stand once.

    Parameters
    ----------
    methods : sequence of Method
    spaces : mapping of str to Space
        By what people call the model.
    """
    able: list[Method] = []
    reasons: dict[str, str] = {}
    for method in methods:
        once = len(spaces) == 1 or method.family == TEXTS or method.reads_views
        candidates = [(method, next(iter(spaces.values())))] if once else []
        if len(spaces) > 1 and method.family != TEXTS:
            candidates += [(OnView(method, number, name), space) for number, (name, space) in enumerate(spaces.items())]
        for candidate, space in candidates:
            why = candidate.obstacle(space)
            if why is None:
                able.append(candidate)
            else:
                reasons[candidate.name] = why
    return able, reasons


def _name(space: Any) -> str:
    if isinstance(space, TextReader):
        space = space.space
    return space.fingerprint.model if isinstance(space, Space) else str(space)
