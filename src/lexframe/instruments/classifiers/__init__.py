"""Classifiers over points."""
