"""The register in the HSM: exact bytes, and which of several objects counts (step 6.2.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.errors import BackendError, BadEncoding, BadInput, Tampered
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.cryptoki import DATA_OBJECT, Attribute, ffi
from hsm_mpc.hsm.failures import GENERAL_ERROR
from hsm_mpc.hsm.register import NO_PROMISE, Register, Registers, Vote, parse
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import EpochHash, WalletId
from tests.hsm.lying import Answer
from tests.named_steps import changes_seen

WALLET = WalletId(b"wallet of a test")
H = EpochHash(b"h" * 32)
NEXT = EpochHash(b"n" * 32)
FRESH = Register(H)

hashes = st.binary(min_size=32, max_size=32).map(EpochHash)
attempts = st.binary(min_size=10, max_size=10)
votes = st.none() | st.builds(Vote, attempts, hashes)
registers = st.builds(
    Register,
    hashes,
    attempts,
    votes,
    votes,
    st.none() | hashes,
    st.lists(st.integers(0, 0xFFFF), max_size=16).map(tuple),
)
numbers = st.integers(0, 2**64 - 1)


def stored(token: Token, value: bytes, wallet_id: WalletId = WALLET) -> int:
    """An object as somebody else, or a crash, left it."""
    template = {
        Attribute.CLASS: objects.number(DATA_OBJECT),
        Attribute.TOKEN: objects.TRUE,
        Attribute.PRIVATE: objects.TRUE,
        Attribute.LABEL: f"hsm-mpc/register/{wallet_id.hex()}".encode(),
        Attribute.VALUE: value,
    }
    return objects.create(token, template, "register")


def values(token: Token) -> list[bytes]:
    """Of all data objects in the token."""
    found = []
    for handle in objects.matching(token, {Attribute.CLASS: objects.number(DATA_OBJECT)}):
        with token.session() as session:
            value = objects.read_attribute(token, session, handle, Attribute.VALUE)
        found.append(value or b"")
    return sorted(found)


# The bytes


def test_the_bytes_are_those_of_the_specification() -> None:
    """Step 6.2.1."""
    before = (
        (5).to_bytes(8, "big")
        + H
        + b"p" * 10
        + b"\1"
        + b"a" * 10
        + NEXT
        + b"\0"
        + bytes(42)
        + b"\1"
        + b"o" * 32
        + b"\0\1"
        + b"\xff\xff"
    )
    full = Register(
        H, b"p" * 10, Vote(b"a" * 10, NEXT), None, EpochHash(b"o" * 32), floors=(1, 0xFFFF)
    )
    assert full.to_bytes(5) == before + hashlib.sha256(before).digest()[:8]


def test_a_register_begins_without_promise_and_votes() -> None:
    assert Register(H, NO_PROMISE, None, None, None, ()) == FRESH
    assert FRESH.to_bytes(1)[40:-8] == bytes(10 + 43 + 43 + 33)


@given(numbers, registers)
def test_a_register_reads_back(seq: int, one: Register) -> None:
    assert parse(one.to_bytes(seq)) == (seq, one)


@given(st.binary(max_size=300))
def test_random_bytes_are_no_register(source: bytes) -> None:
    with pytest.raises(BadEncoding):
        parse(source)


@given(numbers, registers, st.data())
def test_a_torn_register_does_not_parse(seq: int, one: Register, data: st.DataObject) -> None:
    whole = one.to_bytes(seq)
    with pytest.raises(BadEncoding, match="torn"):
        parse(whole[: data.draw(st.integers(0, len(whole) - 1))])
    torn = bytearray(whole)
    torn[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadEncoding, match="torn"):
        parse(bytes(torn))


def checked(before: bytes) -> bytes:
    return before + hashlib.sha256(before).digest()[:8]


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (50, 2, "absent"),  # acked: neither there nor absent
        (51, 1, "absent"),  # acked: absent, but not zeros
        (93, 2, "absent"),
        (136, 2, "absent"),
        (168, 7, "absent"),
    ],
)
def test_a_value_with_another_encoding_is_refused(at: int, value: int, reason: str) -> None:
    before = bytearray(FRESH.to_bytes(1)[:-8])
    before[at] = value
    with pytest.raises(BadEncoding, match=reason):
        parse(checked(bytes(before)))


def test_half_a_floor_is_refused() -> None:
    """Step 1.1.3."""
    with pytest.raises(BadEncoding, match="left over"):
        parse(checked(FRESH.to_bytes(1)[:-8] + b"\0"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Register(EpochHash(b"short")),
        lambda: Register(H, promised=b"short"),
        lambda: Register(H, order=EpochHash(b"short")),
        lambda: Register(H, floors=(0x10000,)),
        lambda: Register(H, floors=(-1,)),
        lambda: Vote(b"short", H),
        lambda: Vote(b"a" * 10, EpochHash(b"short")),
    ],
)
def test_a_field_of_another_length_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(BadInput):
        make()


# In the token


def test_a_wallet_without_register_has_none(token: Token) -> None:
    assert Registers(token).read(WALLET) is None
    assert not Registers(token).exists(WALLET)


def test_what_was_written_is_read_by_the_next_process(token: Token) -> None:
    promised = Register(H, promised=b"p" * 10)
    here = Registers(token)
    for one in (FRESH, promised):
        here.write(WALLET, one)
        assert here.read(WALLET) == Registers(token).read(WALLET) == one
    assert values(token) == [promised.to_bytes(2)]


def test_the_object_is_private_and_in_the_token(token: Token) -> None:
    Registers(token).write(WALLET, FRESH)
    (handle,) = objects.matching(token, {Attribute.CLASS: objects.number(DATA_OBJECT)})
    with token.session() as session:
        for kind in (Attribute.PRIVATE, Attribute.TOKEN):
            assert objects.read_attribute(token, session, handle, kind) == objects.TRUE
        label = objects.read_attribute(token, session, handle, Attribute.LABEL)
    assert label == b"hsm-mpc/register/" + WALLET.hex().encode()


def test_a_register_that_was_read_once_costs_no_more_calls(token: Token, answer: Answer) -> None:
    here = Registers(token)
    here.write(WALLET, FRESH)
    answer("C_FindObjectsInit", 0x30)
    assert here.read(WALLET) == FRESH


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_two_registers_highest_wins(token: Token, order: tuple[int, int]) -> None:
    """Step 6.2.1: a crash between creating the new one and destroying the old."""
    written = {1: FRESH, 2: Register(H, promised=b"p" * 10)}
    for seq in order:
        stored(token, written[seq].to_bytes(seq))
    assert Registers(token).read(WALLET) == written[2]
    assert values(token) == [written[2].to_bytes(2)]


def test_torn_register_is_ignored(token: Token) -> None:
    """Step 6.2.1: whatever its seq, and it goes."""
    stored(token, FRESH.to_bytes(1))
    stored(token, Register(NEXT).to_bytes(9)[:-1])
    stored(token, b"")
    assert Registers(token).read(WALLET) == FRESH
    assert values(token) == [FRESH.to_bytes(1)]


def test_a_register_that_is_torn_alone_is_damage(token: Token) -> None:
    stored(token, FRESH.to_bytes(1)[:-1])
    with pytest.raises(Tampered, match="damaged"):
        Registers(token).read(WALLET)
    assert Registers(token).exists(WALLET)
    assert len(values(token)) == 1


def test_two_registers_that_disagree_are_damage(token: Token) -> None:
    stored(token, FRESH.to_bytes(3))
    stored(token, Register(NEXT).to_bytes(3))
    stored(token, FRESH.to_bytes(2))
    with pytest.raises(Tampered, match="disagree"):
        Registers(token).read(WALLET)
    assert len(values(token)) == 3


def test_a_register_that_is_there_twice_is_kept_once(token: Token) -> None:
    stored(token, FRESH.to_bytes(3))
    stored(token, FRESH.to_bytes(3))
    assert Registers(token).read(WALLET) == FRESH
    assert values(token) == [FRESH.to_bytes(3)]


def test_writing_goes_on_from_what_the_token_has(token: Token) -> None:
    stored(token, FRESH.to_bytes(7))
    Registers(token).write(WALLET, Register(NEXT))
    assert values(token) == [Register(NEXT).to_bytes(8)]


def test_wallets_do_not_see_each_others_registers(token: Token) -> None:
    here, other = Registers(token), WalletId(b"another wallet..")
    here.write(WALLET, FRESH)
    here.write(other, Register(NEXT))
    assert (here.read(WALLET), here.read(other)) == (FRESH, Register(NEXT))
    assert Registers(token).wallet_ids() == tuple(sorted((WALLET, other)))
    here.destroy(WALLET)
    assert here.read(WALLET) is None
    assert Registers(token).read(other) == Register(NEXT)


@pytest.mark.parametrize("label", [b"hsm-mpc/register/xy", b"somebody else's", b"\xff", b""])
def test_foreign_data_objects_are_nobodys_register(token: Token, label: bytes) -> None:
    template = {
        Attribute.CLASS: objects.number(DATA_OBJECT),
        Attribute.TOKEN: objects.TRUE,
        Attribute.LABEL: label,
    }
    objects.create(token, template, "register")
    assert Registers(token).wallet_ids() == ()


def test_destroying_leaves_nothing(token: Token) -> None:
    for seq in (1, 2, 3):
        stored(token, FRESH.to_bytes(seq))
    Registers(token).destroy(WALLET)
    Registers(token).destroy(WALLET)
    assert values(token) == []


def test_a_register_that_cannot_be_destroyed_is_said(token: Token, answer: Answer) -> None:
    here = Registers(token)
    here.write(WALLET, FRESH)
    answer("C_DestroyObject", 0)
    with pytest.raises(BackendError, match="still there"):
        here.destroy(WALLET)


def test_a_register_that_went_by_itself_is_destroyed(token: Token, answer: Answer) -> None:
    here = Registers(token)
    here.write(WALLET, FRESH)
    honest = token.calls.C_DestroyObject

    def late(session: int, handle: int) -> int:
        honest(session, handle)
        return 0x82

    answer("C_DestroyObject", late)
    here.destroy(WALLET)
    assert values(token) == []


@pytest.mark.parametrize("what", ["value", "private"])
def test_a_token_that_stores_something_else_is_refused(
    token: Token, answer: Answer, what: str
) -> None:
    """Step 6.2.1: read it back; the one before stays."""
    here = Registers(token)
    here.write(WALLET, FRESH)
    honest = token.calls.C_CreateObject

    changed = Attribute.VALUE if what == "value" else Attribute.PRIVATE

    def changing(session: int, template: Any, count: int, handle: Any) -> int:
        for entry in template[0:count]:
            if entry.type == changed:  # in a copy: the bytes are the caller's
                kept = ffi.new("CK_BYTE[]", ffi.buffer(entry.pValue, entry.ulValueLen)[:])
                kept[0] ^= 1
                entry.pValue = kept
        code: int = honest(session, template, count, handle)
        return code

    answer("C_CreateObject", changing)
    with pytest.raises(BackendError, match="otherwise than it was written"):
        here.write(WALLET, Register(NEXT))
    assert here.read(WALLET) == FRESH
    assert values(token) == [FRESH.to_bytes(1)]


def test_the_register_of_before_stays_until_the_new_one_is_found(
    token: Token, answer: Answer
) -> None:
    """A promise that nobody finds again is a promise that may be given twice."""
    here = Registers(token)
    here.write(WALLET, FRESH)
    honest = token.calls.C_FindObjects
    (old,) = objects.matching(token, {Attribute.CLASS: objects.number(DATA_OBJECT)})

    def showing_old_ones(session: int, batch: Any, room: int, count: Any) -> int:
        code: int = honest(session, batch, room, count)
        shown = [handle for handle in batch[0 : count[0]] if handle == old]
        batch[0 : len(shown)] = shown
        count[0] = len(shown)
        return code

    answer("C_FindObjects", showing_old_ones)
    with pytest.raises(BackendError, match="written and is not found"):
        here.write(WALLET, Register(NEXT))
    answer("C_FindObjects", honest)
    assert here.read(WALLET) == FRESH
    assert values(token) == [FRESH.to_bytes(1)]


def test_a_register_of_another_handle_than_it_was_made_with_is_not_destroyed(
    token: Token, answer: Answer
) -> None:
    here = Registers(token)
    honest, far = token.calls.C_FindObjects, 1 << 20

    def found(session: int, batch: Any, room: int, count: Any) -> int:
        code: int = honest(session, batch, room, count)
        batch[0 : count[0]] = [handle + far for handle in batch[0 : count[0]]]
        return code

    for name in ("C_GetAttributeValue", "C_DestroyObject"):
        real = getattr(token.calls, name)
        answer(name, lambda session, handle, *rest, real=real: real(session, handle % far, *rest))
    answer("C_FindObjects", found)
    for wanted in (FRESH, Register(NEXT)):
        here.write(WALLET, wanted)
        assert Registers(token).read(WALLET) == wanted


def test_a_failure_after_the_new_one_is_there_does_not_bring_the_old_one_back(
    token: Token, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Registers(token)
    here.write(WALLET, FRESH)
    with monkeypatch.context() as broken:
        broken.setattr(token.calls, "C_DestroyObject", lambda *_: 0x30)
        with pytest.raises(BackendError, match="C_DestroyObject"):
            here.write(WALLET, Register(NEXT))
    assert here.read(WALLET) == Register(NEXT)


@pytest.mark.parametrize("function", ["C_CreateObject", "C_FindObjectsInit", "C_GetTokenInfo"])
def test_a_token_that_does_not_answer_is_unavailable(
    token: Token, answer: Answer, function: str
) -> None:
    answer(function, 0x30)
    with pytest.raises(BackendError, match=function):
        Registers(token).write(WALLET, FRESH)


def test_every_change_of_the_token_is_a_step(token: Token) -> None:
    with changes_seen() as seen:
        here = Registers(token)
        here.write(WALLET, FRESH)
        here.write(WALLET, Register(NEXT))
    created = ["before register.create", "after register.create"]
    assert seen == [*created, *created, "before register.destroy", "after register.destroy"]


def test_a_value_of_a_whole_roster_fits(token: Token) -> None:
    full = Register(
        H, b"p" * 10, Vote(b"a" * 10, NEXT), Vote(b"b" * 10, NEXT), NEXT, tuple(range(255))
    )
    Registers(token).write(WALLET, full)
    assert Registers(token).read(WALLET) == full


# Of whom an answer is believed


def test_a_register_that_anybody_could_have_made_is_not_read(token: Token) -> None:
    Registers(token).write(WALLET, FRESH)
    template = {
        Attribute.CLASS: objects.number(DATA_OBJECT),
        Attribute.TOKEN: objects.TRUE,
        Attribute.PRIVATE: objects.FALSE,
        Attribute.LABEL: f"hsm-mpc/register/{WALLET.hex()}".encode(),
        Attribute.VALUE: Register(NEXT).to_bytes(9),
    }
    objects.create(token, template, "register")
    assert Registers(token).read(WALLET) == FRESH


def test_a_token_that_logged_us_out_has_no_register_to_tell_of(own_token: Token) -> None:
    Registers(own_token).write(WALLET, FRESH)
    assert own_token._login_session is not None
    assert own_token.calls.C_Logout(own_token._login_session) == 0
    for use in (Registers(own_token).read, Registers(own_token).destroy):
        with pytest.raises(BackendError, match="has logged this process out"):
            use(WALLET)
    with pytest.raises(BackendError, match="has logged this process out"):
        Registers(own_token).wallet_ids()


@pytest.mark.parametrize("times", [1, 3, 4])
def test_a_token_that_fails_to_tell_of_itself_is_asked_again(
    own_token: Token, answer: Answer, times: int
) -> None:
    """SoftHSM does so while another process logs in."""
    honest, left = own_token.calls.C_GetTokenInfo, [GENERAL_ERROR] * times
    answer("C_GetTokenInfo", lambda slot, told: left.pop() if left else honest(slot, told))
    if times > 3:
        with pytest.raises(BackendError, match="C_GetTokenInfo"):
            Registers(own_token).read(WALLET)
    assert Registers(own_token).read(WALLET) is None
