"""Is a model fit to vote with? A short look at one, and what it says."""

from maker.api.check.findings import Findings
from maker.api.check.visit import check, check_sync

__all__ = ["Findings", "check", "check_sync"]
