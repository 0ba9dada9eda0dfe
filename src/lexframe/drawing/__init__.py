"""How everything looks: theme, page frame, marked text; it knows no result."""
