"""The model: parameters that are text, and a row, become a prediction."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.linalg import softmax
from lexframe.verbal.asking import TRIES, Ask, Failure, ask_all
from lexframe.verbal.clients.base import Client, ClientError, Grammar, NoLogProbabilities, Request
from lexframe.verbal.losses import Predicted
from lexframe.verbal.parameters import Parameters
from lexframe.verbal.parsing import OUTPUT, parse_label, parse_number
from lexframe.verbal.prompts import learner_messages
from lexframe.verbal.rows import Rows
from lexframe.verbal.task import Task

LEAD = f"{OUTPUT}: "
NUMBER = r"-?[0-9]{1,6}(\.[0-9]{1,4})?"


@dataclass(frozen=True, slots=True)
class Reading:
    """How the model is asked for a prediction.

    Attributes
    ----------
    answer_tokens : int
        Most tokens of a prediction.
    explains : bool
        Ask for an explanation before the output, as published.
    constrained : bool
        Hold answers to the format, where the client can.
    by_probability : bool
        Take labels by their probability, where the client gives it, in place of an answer in words.
    tries : int
        Of a call whose answer cannot be read.
    """

    answer_tokens: int = 64
    explains: bool = False
    constrained: bool = True
    by_probability: bool = True
    tries: int = TRIES


@dataclass
class Learner:
    """Predicts rows with parameters.

    Attributes
    ----------
    client : Client
    task : Task
    stand_in : float or str
        For a row whose answer cannot be used.
    reading : Reading
    failures : list of Failure
        Of all calls so far.
    centers : dict of str to ndarray
        By digest of parameters: the mean log-probability of each label over the rows that :meth:`center_on` was given, which is taken away,
        since a small model prefers some labels whatever it reads.
    """

    client: Client
    task: Task
    stand_in: Any
    reading: Reading = field(default_factory=Reading)
    failures: list[Failure] = field(default_factory=list)
    centers: dict[str, Float[np.ndarray, " k"]] = field(default_factory=dict)

    def has_probabilities(self, parameters: Parameters) -> bool:
        """Whether predictions come with probabilities."""
        return parameters.program is None and not self.task.is_regression and self.reading.by_probability and self.client.scores

    def calls(self, parameters: Parameters, n_rows: int) -> int:
        """Calls that predicting so many rows takes, if every answer can be read."""
        return 0 if parameters.program is not None else n_rows

    def requests(self, parameters: Parameters, rows: Rows) -> list[Request]:
        """What is asked for each row; nothing where parameters are executed."""
        if parameters.program is not None:
            return []
        scored = self.has_probabilities(parameters)
        grammar = None if scored or not self.reading.constrained or not self.client.constrains else self._grammar()
        return [
            Request(
                learner_messages(self.task, parameters, rows.shown(row, self.task.digits), explains=self.reading.explains and not scored),
                max_tokens=self.reading.answer_tokens,
                purpose="predict",
                grammar=grammar,
                choices=self.task.labels if scored else (),
                lead=LEAD if scored else "",
            )
            for row in range(len(rows))
        ]

    def predict(self, parameters: Parameters, rows: Rows) -> Predicted:
        """Predictions of all rows, in as many calls as :meth:`calls` says, and a few more where answers cannot be read.

        Parameters
        ----------
        parameters : Parameters
        rows : Rows
        """
        if parameters.program is not None:
            return self._executed(parameters, rows)
        if self.has_probabilities(parameters):
            try:
                return self._from_scores(parameters, self._scores(self.requests(parameters, rows)))
            except NoLogProbabilities as error:
                self._ask_in_words(error)
        requests = self.requests(parameters, rows)
        answers = ask_all(self.client, [Ask(request, self.parse) for request in requests], tries=self.reading.tries, failed=self.failures)
        return self._predicted([answer.value for answer in answers])

    def center_on(self, parameters: Parameters, rows: Rows) -> Predicted:
        """Predictions of rows whose mean log-probabilities become those that are taken away for these parameters; no target is used.

        Parameters
        ----------
        parameters : Parameters
        rows : Rows
        """
        if self.has_probabilities(parameters) and parameters.digest not in self.centers:
            try:
                scores = self._scores(self.requests(parameters, rows))
            except NoLogProbabilities as error:
                self._ask_in_words(error)
            else:
                self.centers[parameters.digest] = scores.mean(axis=0)
                return self._from_scores(parameters, scores)
        return self.predict(parameters, rows)

    def _scores(self, requests: Sequence[Request]) -> Float[np.ndarray, "n k"]:
        scores = np.zeros((len(requests), len(self.task.labels)))
        first = 0 if self.client.has_scored else 1  # a client that cannot is asked once, not for every row
        for start, part in ((0, requests[:first]), (first, requests[first:])):
            for place, reply in self.client.answers(part):
                scores[start + place] = reply.log_probabilities if reply.log_probabilities is not None else 0.0
                self.client.has_scored = True
        return scores

    def _ask_in_words(self, error: NoLogProbabilities) -> None:
        """From now on; not where labels were taken by their probability before, since the two losses do not compare."""
        if self.client.has_scored:
            raise ClientError(f"{error} It gave them before. Start again with answers in words (by_probability=False).") from None
        self.client.scores = False

    def _from_scores(self, parameters: Parameters, scores: Float[np.ndarray, "n k"]) -> Predicted:
        center = self.centers.get(parameters.digest)
        probabilities = softmax(scores if center is None else scores - center)
        return Predicted(self._labels(probabilities.argmax(axis=1)), probabilities, np.ones(len(scores), dtype=bool))

    def _labels(self, places: np.ndarray) -> np.ndarray:
        labels = np.empty(len(places), dtype=object)
        labels[:] = [self.task.labels[place] for place in places]
        return labels

    def _executed(self, parameters: Parameters, rows: Rows) -> Predicted:
        assert parameters.program is not None
        found = parameters.program.predict(rows.columns)
        if self.task.is_regression:
            return self._predicted([float(value) if np.isfinite(value) and abs(value) < 1e150 else None for value in found])
        return self._predicted([value or None for value in found])

    def _predicted(self, found: Sequence[Any]) -> Predicted:
        answered = np.array([value is not None for value in found], dtype=bool)
        values = np.empty(len(found), dtype=np.float64 if self.task.is_regression else object)
        values[:] = [self.stand_in if value is None else value for value in found]
        return Predicted(values, None, answered)

    def parse(self, text: str) -> Any:
        """The prediction that an answer in words holds; UnreadableError where it holds none."""
        if not self.task.is_regression:
            return parse_label(text, self.task.labels)
        parsed = parse_number(text)
        # What a person would round off is no answer: a number of this size leaves a squared error without a meaning.
        return replace(parsed, value=max(-1e150, min(1e150, parsed.value)))

    def _grammar(self) -> Grammar:
        start = f"{OUTPUT}: "
        if self.reading.explains:
            return Grammar("regex", rf"Explanation: [^\n]{{1,160}}\n{start}{self._value_pattern()}")
        return Grammar("regex", f"{start}{self._value_pattern()}")

    def _value_pattern(self) -> str:
        return NUMBER if self.task.is_regression else "(" + "|".join(map(regex_literal, self.task.labels)) + ")"


def regex_literal(text: str) -> str:
    """An expression that matches a text and nothing else, in the common part of all dialects."""
    return "".join(_escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    if letter == "\n":
        return "\\n"
    return letter if letter.isalnum() or letter in " _" or not letter.isascii() else f"\\{letter}"
