"""What counts when two texts are compared for being the same."""

import unicodedata


def normalized(text: str) -> str:
    """A text without what does not count: case, runs of white space, and forms of characters (Unicode NFKC)."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())
