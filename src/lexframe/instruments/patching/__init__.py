"""States put in the place of others: what a prompt carries from one place to another."""
