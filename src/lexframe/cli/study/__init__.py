"""Verbs of ``lexframe study``, one a file."""
