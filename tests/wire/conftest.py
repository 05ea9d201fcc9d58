from __future__ import annotations

import pytest

from tests.wire.book import Book


@pytest.fixture
def book() -> Book:
    return Book.made()
