"""Rounds of the protocols: pure functions; bytes, randomness and time are arguments."""
