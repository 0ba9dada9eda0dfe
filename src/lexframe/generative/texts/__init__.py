"""Measures of texts, beside other texts."""
