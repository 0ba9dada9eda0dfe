"""Pretraining from scratch: corpus, tokenizer, language model, and how good it is."""
