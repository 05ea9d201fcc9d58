from __future__ import annotations

from typing import Any

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.cryptoki import DATA_OBJECT, UNAVAILABLE, Attribute, ObjectClass
from hsm_mpc.hsm.failures import StaleHandle
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.token import Token
from tests.hsm.lying import Answer

SECRET_KEYS = {Attribute.CLASS: objects.number(ObjectClass.SECRET_KEY)}


def read(token: Token, key: Key, kind: Attribute) -> bytes | None:
    with token.session() as session:
        return objects.read_attribute(token, session, key.handle, kind)


def test_every_matching_object_is_found_however_many_there_are(
    token: Token, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_BATCH", 1)
    assert key.handle in objects.matching(token, SECRET_KEYS)
    assert len(objects.matching(token, SECRET_KEYS)) == 2  # the canary is the other


def test_nothing_matching_is_no_error(token: Token) -> None:
    assert objects.matching(token, {Attribute.ID: b"nobody"}) == ()


def test_a_search_leaves_its_session_free_for_the_next(token: Token) -> None:
    for _ in range(3):
        objects.matching(token, SECRET_KEYS)
    assert len(token.pool._idle) == 1


@pytest.mark.parametrize(
    "function", ["C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal", "C_OpenSession"]
)
def test_a_search_that_fails_is_an_unavailable_token(
    token: Token, answer: Answer, function: str
) -> None:
    token.pool._idle.clear()
    answer(function, 0x30)
    with pytest.raises(BackendError, match=f"{function} answered CKR_DEVICE_ERROR"):
        objects.matching(token, SECRET_KEYS)


@pytest.mark.parametrize("count", [objects._BATCH + 1, UNAVAILABLE])
def test_a_module_that_finds_more_than_there_is_room_for_is_refused(
    token: Token, answer: Answer, count: int
) -> None:
    def too_many(_: int, __: Any, ___: int, found: Any) -> int:
        found[0] = count
        return 0

    answer("C_FindObjects", too_many)
    with pytest.raises(BackendError, match="finds no end") as caught:
        objects.matching(token, SECRET_KEYS)
    assert not caught.value.retryable


def test_a_module_that_finds_without_end_is_refused(
    token: Token, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_MOST_OBJECTS", 3)
    calls: list[int] = []

    def one_more(_: int, __: Any, ___: int, found: Any) -> int:
        calls.append(1)
        assert len(calls) < 10
        found[0] = 1
        return 0

    answer("C_FindObjects", one_more)
    with pytest.raises(BackendError, match="finds no end"):
        objects.matching(token, SECRET_KEYS)


def test_an_attribute_that_the_module_does_not_tell_is_none(token: Token, key: Key) -> None:
    assert read(token, key, Attribute.EC_POINT) is None  # of an AES key: unknown
    assert read(token, key, Attribute.ID) == key.key_id


def test_an_attribute_without_length_is_not_told(token: Token, key: Key, answer: Answer) -> None:
    def without_length(_: int, __: int, entry: Any, ___: int) -> int:
        entry.ulValueLen = UNAVAILABLE
        return 0

    answer("C_GetAttributeValue", without_length)
    assert read(token, key, Attribute.ID) is None


def test_an_attribute_longer_than_any_of_ours_is_not_told(token: Token) -> None:
    template = {
        Attribute.CLASS: objects.number(DATA_OBJECT),
        Attribute.TOKEN: objects.TRUE,
        Attribute.LABEL: b"somebody's",
        Attribute.VALUE: bytes(5000),
    }
    handle = objects.create(token, template, "test")
    with token.session() as session:
        assert objects.read_attribute(token, session, handle, Attribute.VALUE) is None
        assert objects.read_attribute(token, session, handle, Attribute.LABEL) == b"somebody's"


def test_no_more_is_read_than_there_was_room_for(token: Token, key: Key, answer: Answer) -> None:
    def too_long(_: int, __: int, entry: Any, ___: int) -> int:
        entry.ulValueLen = 6000
        return 0

    answer("C_GetAttributeValue", too_long)
    with pytest.raises(BackendError, match="CKA_LABEL of a wrong length") as caught:
        read(token, key, Attribute.LABEL)
    assert not caught.value.retryable


def test_a_failure_without_length_is_a_failure(token: Token, key: Key, answer: Answer) -> None:
    def failing(_: int, __: int, entry: Any, ___: int) -> int:
        entry.ulValueLen = UNAVAILABLE
        return 0x30

    answer("C_GetAttributeValue", failing)
    with pytest.raises(BackendError, match="C_GetAttributeValue answered CKR_DEVICE_ERROR"):
        read(token, key, Attribute.ID)


def test_an_attribute_of_a_destroyed_key_is_an_error(token: Token, key: Key) -> None:
    objects.destroy(token, key.handle)
    with pytest.raises(StaleHandle, match="C_GetAttributeValue"):
        read(token, key, Attribute.ID)


def test_a_token_that_fails_to_destroy_is_named(token: Token, key: Key, answer: Answer) -> None:
    answer("C_DestroyObject", 0x30)
    with pytest.raises(BackendError, match="C_DestroyObject answered CKR_DEVICE_ERROR"):
        objects.destroy(token, key.handle)


def test_a_number_is_read_back_only_from_a_number() -> None:
    assert objects.as_number(objects.number(0x1F)) == 0x1F
    assert objects.as_number(b"\1") is None
    assert objects.as_number(None) is None
