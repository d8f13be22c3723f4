"""Several implementations of one contract, `maker.sample.Model`: oracle (simulated) and neural (bundled)."""
