"""Forms of a text: what counts when two are compared, and what can be shown of one."""

import unicodedata
from collections.abc import Sequence


def normalized(text: str) -> str:
    """A text without what does not count: case, runs of white space, and forms of characters (Unicode NFKC)."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun, such as "1 text" and "1,200 texts".

    Parameters
    ----------
    number : int
    one : str
        The noun for one.
    many : str, optional
        The noun for any other number. Default: `one` with "s", or with "ies" for a "y" after a consonant, or "es" after a hiss.
    """
    if number == 1:
        return f"1 {one}"
    if many is None:
        if one[-1:] == "y" and one[-2:-1] not in "aeiou":
            many = f"{one[:-1]}ies"
        else:
            many = f"{one}{'es' if one.endswith(('s', 'x', 'ch', 'sh')) else 's'}"
    return f"{number:,} {many}"


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them, such as "a, b and c".

    Parameters
    ----------
    names : sequence of str
    """
    return " and ".join([", ".join(names[:-1]), *names[-1:]] if len(names) > 1 else names)


def printable(text: str) -> str:
    """A text that a terminal or a chart shows as it is: letters that cannot be printed, control characters too, become �."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def whole_letters(text: str) -> str:
    """A text without halves of letters, which no file can hold: each becomes �. The JSON of others may bring them.

    Parameters
    ----------
    text : str
    """
    return "".join("�" if 0xD800 <= ord(letter) <= 0xDFFF else letter for letter in text)
