"""``lexframe verbal``: models whose parameters are sentences."""
