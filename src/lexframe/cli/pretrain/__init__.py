"""Verbs of ``lexframe pretrain``, one a file."""
