"""Implementations of one contract, `maker.sample.Model`: oracle (simulated), neural (bundled), openai (HTTP)."""
