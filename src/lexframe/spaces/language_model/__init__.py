"""Layers of a language model as spaces."""
