"""Repair of a lost share at a holder: as a helper, and as the one that has lost it (6.7)."""
