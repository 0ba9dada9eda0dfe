"""Edits of points: what changes one attribute and keeps the rest."""
