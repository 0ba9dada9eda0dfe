"""Every error that lexframe raises on purpose.

::

    LexframeError
    ├── InputError            a file, an option or an argument is wrong           (also a ValueError)
    │   ├── DataError         people's data: unreadable, empty, a column missing
    │   ├── ModelError        a model that cannot be loaded or is not understood
    │   └── VocabularyError   a word that the vocabulary does not hold
    ├── FingerprintMismatch   points of one space given to an instrument of another  (also a ValueError)
    ├── MissingExtraError     an optional dependency is not installed             (also an ImportError)
    └── InterruptedRunError   a long job stopped early; what it had is kept

The command line turns all of them into one line on standard error and exit code 2. Messages say what was
wrong, what was expected and what to do. They speak of parameters, as a caller of the function knows them.
"""

from collections.abc import Sequence


class LexframeError(Exception):
    """Base of all errors that lexframe raises on purpose."""


class InputError(LexframeError, ValueError):
    """A file, an option or an argument is not what it should be.

    Parameters
    ----------
    message : str
    parameter : str or sequence of str
        Names of the parameters that are meant; the command line shows them as its options. Kept as `parameters`.
    """

    def __init__(self, message: object = "", *, parameter: str | Sequence[str] = ()):
        super().__init__(message)
        self.parameters = (parameter,) if isinstance(parameter, str) else tuple(parameter)


class DataError(InputError):
    """People's data cannot be used as it is: unreadable, empty, or a column is missing."""


class ModelError(InputError):
    """A model cannot be loaded, or has a part whose maths is not known here."""


class VocabularyError(InputError):
    """A word is not in the vocabulary of the model."""


class FingerprintMismatch(LexframeError, ValueError):  # noqa: N818  it names the state of things, as the CLI does
    """Points made by one space were given to an instrument fitted on another.

    Parameters
    ----------
    expected, found : str
        Fingerprints of the space that the instrument was fitted on and of the space that was given.
    what : str
        What refuses, for the message, such as ``"adapter/"``.
    advice : str
        What to do.
    """

    def __init__(
        self,
        expected: str,
        found: str,
        what: str,
        *,
        advice: str = (
            "Points of two spaces cannot be mixed: use the model, layer, pooling and template it was fitted with, or fit it again."
        ),
    ):
        self.expected, self.found, self.what = expected, found, what
        super().__init__(f"{what} was fitted on the space {expected}, but the space given is {found}. {advice}")


class MissingExtraError(LexframeError, ImportError):
    """An optional dependency is not installed.

    Parameters
    ----------
    package : str
        What could not be imported.
    extra : str
        The extra of lexframe that brings it.
    """

    def __init__(self, package: str, extra: str):
        super().__init__(f"{package} is not installed. Install it with: pip install 'lexframe[{extra}]'")


class InterruptedRunError(LexframeError):
    """A long job stopped before its end; the message names what is kept and how to go on."""
