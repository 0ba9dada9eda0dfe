"""The vocabulary frame: every word's place among the states."""
