"""Verbs of ``lexframe vae``, one a file."""
