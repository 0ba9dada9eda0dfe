"""Ways to get better parameters out of a language model: one a file, all at the same contract."""
