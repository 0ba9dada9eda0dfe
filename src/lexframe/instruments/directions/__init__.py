"""Directions: found, chosen, kept, and applied to a model that reads or writes."""
