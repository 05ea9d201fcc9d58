"""Fixtures of the tests of signing, for the one test that signs for real."""

from tests.protocols.conftest import protocol_arena

__all__ = ["protocol_arena"]
