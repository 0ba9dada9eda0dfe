"""A package that adds to lexframe from outside: one file a space, one a method, one a result with its chart, one a verb."""
