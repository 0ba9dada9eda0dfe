"""Readings of a matrix of similarities between tasks: against hypotheses, as clusters, as a map."""
