"""The published method as it stands: hulls, maps, candidates, hierarchical vectors."""
