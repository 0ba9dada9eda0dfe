"""Items that stand in several categories at once."""
