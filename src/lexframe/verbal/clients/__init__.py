"""Language models that answer: one contract, with models in process, over HTTP, and scripted ones behind it."""
