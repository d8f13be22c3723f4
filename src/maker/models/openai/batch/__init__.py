"""Asking in batches, by the interface that OpenAI has for it."""
