"""Experiments on steps that are hard for a model: what lets it answer them otherwise, and what sees through it."""
