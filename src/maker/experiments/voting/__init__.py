"""Experiments on the rule of the vote alone: votes are arithmetic or coins, no model is asked."""
