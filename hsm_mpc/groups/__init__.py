"""Curves, polynomial sharing and proofs of knowledge."""
