"""Forms of a text: what counts when two are compared, and what can be shown of one."""

import unicodedata


def normalized(text: str) -> str:
    """A text without what does not count: case, runs of white space, and forms of characters (Unicode NFKC)."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def printable(text: str) -> str:
    """A text that a terminal or a chart shows as it is: letters that cannot be printed, control characters too, become �."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
