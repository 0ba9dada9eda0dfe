"""What property tests share."""

from hypothesis import settings

COSTLY = settings(max_examples=max(5, settings.default.max_examples // 3))
"""For properties of which an example fits or trains something: a third of the examples of the profile in force."""
