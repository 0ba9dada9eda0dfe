"""Answers on disk, by what was asked: a run goes on where it was killed, and is replayed without a call."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import IO, Any

from lexframe.exceptions import DataError, InputError, LexframeError
from lexframe.files import advice_on_writing, json_text
from lexframe.text_forms import counted
from lexframe.verbal.clients.base import Client, ClientError, NoLogProbabilities, Reply, Request

_NO_SCORES = "This client gives no log-probabilities: it was asked before. Ask for answers in words instead."
NAME = "calls.jsonl"
"""The file in the folder of a run: one call a line, with all that was asked and answered."""


class CallLog:
    """Calls in a file, one a line, written as soon as each is answered.

    A line that a killed process left half-written is cut off when the file is opened; every other line stands.

    Parameters
    ----------
    path : str or PathLike or None
        The file; None keeps calls in memory.
    writable : bool
        Whether calls are added. One process at a time adds to a file.

    Raises
    ------
    DataError
        If the file holds something else, or a line within it is damaged.
    InputError
        If it cannot be written, or another process is writing it.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, writable: bool = True):
        self.path = None if path is None else Path(path)
        self._replies: dict[str, Reply] = {}
        self._lock = Lock()
        self._file: IO[bytes] | None = None
        if self.path is not None:
            if writable:
                self._open()
            elif self.path.is_file():
                self._read(self.path.read_bytes())

    def _open(self) -> None:
        assert self.path is not None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
            _lock_file(self._file, self.path)
            self._file.seek(0)
            whole = self._read(self._file.read())
            self._file.truncate(whole)
        except DataError:
            self.close()
            raise
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror}. {advice_on_writing(str(error.strerror))}") from error

    def _read(self, content: bytes) -> int:
        """Take in all whole lines; returns where the last of them ends."""
        whole = content.rfind(b"\n") + 1
        for number, line in enumerate(content[:whole].splitlines(), 1):
            try:
                document = json.loads(line)
                self._replies[document["key"]] = Reply.from_dict(document["reply"])
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{self.path} is damaged in line {number}. Remove that line: its call is made again.") from error
        return whole

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, key: str) -> Reply | None:
        """The reply that is kept under a key."""
        return self._replies.get(key)

    def add(self, key: str, request: Request, reply: Reply) -> None:
        """Keep a reply, in memory and in the file."""
        with self._lock:
            self._replies[key] = reply
            if self._file is not None:
                line = json_text({"key": key, "request": asdict(request), "reply": reply.to_dict()}, ascii_only=True)
                self._file.write(line.encode() + b"\n")
                self._file.flush()  # a killed process loses nothing; what a power cut takes is asked again

    def close(self) -> None:
        """Bring what was written to the disk, and let other processes write."""
        if self._file is not None:
            with suppress(OSError):
                os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def __enter__(self) -> "CallLog":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _lock_file(file: IO[bytes], path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # a system without it
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise InputError(f"{path} is being written by another run. Wait for it, or name another folder.") from error


class KeptClient(Client):
    """A client whose answers are kept: what was asked before is not asked again.

    Parameters
    ----------
    client : Client or None
        Whom to ask what is not kept; None asks nobody.
    log : CallLog
    identity : str, optional
        Of a client that is not there. Default: that of `client`.
    missing : type of exception
        What an answer that is neither kept nor to be had raises: a run that its budget ended is replayed to where it ended.
    """

    def __init__(self, client: Client | None, log: CallLog, *, identity: str | None = None, missing: type[LexframeError] = ClientError):
        self._client, self._log, self._missing = client, log, missing
        self._identity = identity if identity is not None else client.identity if client is not None else ""
        self.n_kept = self.n_asked = 0
        if client is not None:
            self.constrains, self.scores = client.constrains, client.scores

    @property
    def identity(self) -> str:
        """That of the client whose answers are kept."""
        return self._identity

    def answers(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Kept answers first, then those of the client as they come.

        Raises
        ------
        ClientError
            If there is no client, and an answer is not kept.
        """
        missing: list[int] = []
        keys = [request.key(self.identity) for request in requests]
        for place, key in enumerate(keys):
            reply = self._log.get(key)
            if reply is None:
                missing.append(place)
            else:
                self.n_kept += 1
                if requests[place].choices and reply.log_probabilities is None:
                    raise NoLogProbabilities(_NO_SCORES)
                yield place, reply
        if not missing:
            return
        if self._client is None:
            what = f"{counted(len(missing), 'answer')} not kept, and nobody is asked"
            raise self._missing(f"{what}. Run it with its model, or name the folder of a whole run.")
        try:
            for number, reply in self._client.answers([requests[place] for place in missing]):
                place = missing[number]
                self._log.add(keys[place], requests[place], reply)
                self.n_asked += 1
                yield place, reply
        except NoLogProbabilities:  # so that the same run again does not ask for them
            place = missing[0]
            self._log.add(keys[place], requests[place], Reply("", self._client.count_tokens(requests[place]), 0))
            raise

    def count_tokens(self, request: Request) -> int:
        """As the client counts them."""
        return self._client.count_tokens(request) if self._client is not None else 0

    def most_tokens(self, request: Request) -> int:
        """As the client bounds them."""
        return self._client.most_tokens(request) if self._client is not None else 0


def kept_calls(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The calls of a file, as plain values: key, request and reply."""
    with Path(path).open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)
