"""``lexframe tasks``: how the abilities of a model relate."""
