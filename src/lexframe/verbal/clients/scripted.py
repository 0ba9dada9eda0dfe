"""A model that a function plays: for tests, for documentation, and to see what training does with a student that does as it is told."""

from collections.abc import Callable, Iterator, Sequence

from lexframe.verbal.clients.base import Client, Reply, Request


class ScriptedClient(Client):
    """Answers with what a function says; deterministic if the function is.

    Parameters
    ----------
    script : callable
        From a request to the text of its answer; for a request with choices, to one log-probability for each.
    name : str
        Its identity: two scripts under one name share what is kept of their answers.
    scores : bool
        Whether the script answers requests with choices.
    """

    def __init__(self, script: Callable[[Request], str | Sequence[float]], *, name: str = "scripted", scores: bool = False):
        self._script, self._name = script, name
        self.scores = scores
        self.n_calls = 0

    @property
    def identity(self) -> str:
        """Its name."""
        return self._name

    def answers(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """What the script says of each, one after the other."""
        for place, request in enumerate(requests):
            said = self._script(request)
            self.n_calls += 1
            words = self.count_tokens(request)
            if isinstance(said, str):
                yield place, Reply(said, words, len(said.split()))
            else:
                yield place, Reply("", words, len(request.choices), tuple(map(float, said)))

    def count_tokens(self, request: Request) -> int:
        """Words of the messages: what counts as a token of a script."""
        return sum(len(message.content.split()) for message in request.messages)
