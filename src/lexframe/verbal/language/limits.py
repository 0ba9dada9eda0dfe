"""How large a program may be: every limit with its reason."""

MAX_SOURCE = 2_000
"""Characters of a formula or of rules: a page shows them whole, and no parser is fed more."""

MAX_LOOKUP_SOURCE = 16_000
"""Characters of a table of words: 400 entries of 40 characters. It is read line by line and nested in nothing."""

MAX_NODES = 200
"""Parts of one expression: each is an array of a number a row, and a person still follows it."""

MAX_DEPTH = 30
"""Expressions within expressions; a chain such as a + b + c is one. Keeps every walk of the tree far from Python's recursion limit."""

MAX_BRACKETS = 2 * MAX_DEPTH
"""Brackets within brackets, superfluous ones too: Python's parser is never asked for the 200 at which it gives up."""

MAX_EXPONENT = 20
"""Size of a constant exponent: beyond it, a value of 10 leaves what a double can tell apart from its neighbours."""

MAX_RULES = 50
"""Rules of one program: more is a table, not something that a sentence says."""

MAX_ENTRIES = 400
"""Entries of one table of words: each is sought in each text."""

MAX_WEIGHT = 1e6
"""Size of the weight of a word: sums of 400 stay finite and exact to far below 1."""

MAX_SHOWN = 60
"""Characters of an offending piece that a message shows."""
