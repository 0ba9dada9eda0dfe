"""The sheet that goes out to a curator and comes back, and what is learned from it."""
