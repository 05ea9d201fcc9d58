"""PROPOSE: what a member of an attempt follows, and what it does not (step 6.5.2)."""

from __future__ import annotations

import hashlib

import pytest

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.encoding import lv32, u8, u16be, u64be
from hsm_mpc.errors import BadEncoding, BadInput, HsmMpcError, InvalidSignature, Refused
from hsm_mpc.ids import EpochHash
from hsm_mpc.succession.join import Adoption, Join
from hsm_mpc.succession.propose import Propose, Proposed, check_propose, highest_adoption
from hsm_mpc.tags import Tag, tagged_hash
from hsm_mpc.wire.envelope import Address, parse_envelope
from hsm_mpc.wire.rounds import ADOPTION, DONE, EVERYBODY, JOIN, PROPOSE, SUCCESSOR
from tests.certificates.ceremony import point
from tests.software_identity import SoftwareKey, p256_key
from tests.succession.making import COORDINATOR, NOTHING, Refresh


def checked(attempt: Refresh) -> Proposed:
    return check_propose(attempt.proposed(), attempt.first, attempt.keys)


def refusal_of(attempt: Refresh) -> str:
    with pytest.raises((BadInput, InvalidSignature)) as refusal:
        checked(attempt)
    return str(refusal.value)


def test_one_that_holds_tells_members_and_delivery_keys() -> None:
    attempt = Refresh()
    proposed = checked(attempt)
    assert proposed.members == (1, 2)
    assert proposed.delivery_keys == tuple(point(v) for v in attempt.ceremony.deliveries)
    assert proposed.content.successor is None
    assert proposed.content.attempt == Attempt(attempt.counter, COORDINATOR)
    assert proposed.session_id == tagged_hash(Tag.REFRESH, attempt.propose())
    digests = [b"\1" * 32, b"\2" * 32]
    wanted = tagged_hash(Tag.PROPOSE, lv32(attempt.propose()) + b"".join(digests))
    assert proposed.transcript_hash(digests) == wanted


def test_its_bytes_are_read_back_as_they_were_written() -> None:
    payload = Refresh().propose_payload()
    assert Propose.from_bytes(payload, 3).to_bytes() == payload


@pytest.mark.parametrize("cut", [b"", b"x"])
def test_bytes_missing_or_left_over_are_refused(cut: bytes) -> None:
    payload = Refresh().propose_payload()
    with pytest.raises(BadEncoding):
        Propose.from_bytes(payload + cut if cut else payload[:-1], 3)


def test_amendments_come_last() -> None:
    payload = Refresh().propose_payload()
    amended = payload[:-2] + u16be(2) + lv32(b"one") + lv32(b"two")
    assert Propose.from_bytes(amended, 3).amendments == (b"one", b"two")
    assert Propose.from_bytes(amended, 3).to_bytes() == amended


def test_other_choices_are_unknown() -> None:
    payload = Refresh().propose_payload()
    for choice in (u8(2) + bytes(32), u8(0) + bytes(31) + b"\1"):
        with pytest.raises(BadEncoding, match="neither"):
            Propose.from_bytes(payload[:42] + choice + payload[75:], 3)


# Whose it is, and what it belongs to


def test_it_is_of_the_initiator_of_its_attempt() -> None:
    class Another(Refresh):
        initiator = COORDINATOR + 1

    assert "initiator" in refusal_of(Another())


def test_another_message_is_no_proposal() -> None:
    attempt = Refresh()
    message = parse_envelope(attempt.said(SUCCESSOR, COORDINATOR, attempt.propose_payload()))
    with pytest.raises(BadInput, match="initiator"):
        check_propose(message, attempt.first, attempt.keys)


@pytest.mark.parametrize("part", ["wallet", "epoch", "session"])
def test_it_belongs_to_wallet_epoch_and_attempt(part: str) -> None:
    attempt = Refresh()
    first = attempt.first
    address = Address(
        type(first.terms.wallet_id)(b"w" * 16) if part == "wallet" else first.terms.wallet_id,
        b"s" * 32 if part == "session" else attempt.session(),
        EpochHash(b"e" * 32) if part == "epoch" else first.hash,
        COORDINATOR,
        EVERYBODY,
    )
    message = parse_envelope(attempt.signed(PROPOSE, address, attempt.propose_payload()))
    with pytest.raises(BadInput, match="another wallet, epoch or attempt"):
        check_propose(message, first, attempt.keys)


# Members


def test_fewer_than_join_size_are_refused() -> None:
    class Alone(Refresh):
        members = (1,)

    assert "1 holders joined, 2 are wanted" in refusal_of(Alone())


def test_members_are_ascending_and_each_once() -> None:
    class Twice(Refresh):
        members = (1, 1)

    class Descending(Refresh):
        members = (2, 1)

    for wrong in (Twice(), Descending()):
        assert "not strictly ascending" in refusal_of(wrong)


def test_a_join_is_signed_by_its_holder() -> None:
    class Forged(Refresh):
        def identity(self, index: int) -> SoftwareKey:
            return p256_key(99) if index == 2 else super().identity(index)

        def dones(self) -> list[bytes]:
            return Refresh().dones()

    refusal_of(Forged())


def test_a_join_of_another_attempt_is_refused() -> None:
    """In its header, and in its payload alone."""

    class Older(Refresh):
        def join(self, index: int) -> bytes:
            older = Refresh()
            older.counter = self.counter - 1
            return older.join(index) if index == 2 else super().join(index)

    class Inside(Refresh):
        def join(self, index: int) -> bytes:
            counter = self.counter - (index == 2)
            payload = u64be(counter) + u16be(self.initiator) + u8(0)
            return self.said(JOIN, index, payload)

    assert "another session" in refusal_of(Older())
    assert "holder 2 joined another attempt" in refusal_of(Inside())


# What is carried on


class CarriedOn(Refresh):
    """Holder 2 has adopted a successor in an attempt before."""

    earlier = 1_700_000_000
    named: tuple[bytes, ...] = (b"its certificate",)

    def adoption(self, index: int) -> bytes:
        if index != 2:
            return u8(0)
        digest = hashlib.sha256(b"its certificate").digest()
        return u8(1) + Attempt(self.earlier, COORDINATOR).to_bytes() + b"h" * 32 + digest

    def choice(self) -> bytes:
        return u8(1) + b"h" * 32

    def certificates(self) -> list[bytes]:
        return list(self.named)


def test_what_was_adopted_is_carried_on() -> None:
    assert checked(CarriedOn()).content.successor == b"h" * 32


def test_nothing_new_is_made_while_somebody_has_adopted() -> None:
    class Ignoring(CarriedOn):
        def choice(self) -> bytes:
            return u8(0) + bytes(32)

    assert "carry on what was adopted last" in refusal_of(Ignoring())


def test_nothing_else_than_the_adopted_one_is_carried_on() -> None:
    class Another(CarriedOn):
        def choice(self) -> bytes:
            return u8(1) + b"i" * 32

    class Invented(Refresh):
        def choice(self) -> bytes:
            return u8(1) + b"h" * 32

    for wrong in (Another(), Invented()):
        assert "carry on what was adopted last" in refusal_of(wrong)


@pytest.mark.parametrize(
    "named", [(), (b"another",), (b"its certificate", b"another")], ids=["none", "other", "more"]
)
def test_the_certificates_are_those_that_were_adopted(named: tuple[bytes, ...]) -> None:
    attempt = CarriedOn()
    attempt.named = named
    assert "certificates are not those of the adoptions" in refusal_of(attempt)


def adopted(counter: int, successor: bytes) -> Join:
    adoption = Adoption(Attempt(counter, COORDINATOR), EpochHash(successor), bytes(32))
    return Join(Attempt(counter + 1, COORDINATOR), adoption)


def test_the_highest_attempt_counts() -> None:
    low, high = adopted(1, b"l" * 32), adopted(2, b"h" * 32)
    assert highest_adoption([low, high, Join(Attempt(3, 0), None)]) == high.adopted
    assert highest_adoption([high, low]) == high.adopted
    assert highest_adoption([]) is None


def test_two_successors_in_the_highest_attempt_stop_everything() -> None:
    with pytest.raises(Refused) as split:
        highest_adoption([adopted(2, b"a" * 32), adopted(2, b"b" * 32)])
    assert split.value.rule == "split"
    lower = [adopted(1, b"a" * 32), adopted(1, b"b" * 32), adopted(2, b"c" * 32)]
    assert highest_adoption(lower) == lower[2].adopted


# Delivery keys


def test_a_confirmation_is_of_its_holder() -> None:
    class Swapped(Refresh):
        def dones(self) -> list[bytes]:
            one, two, three = super().dones()
            return [two, one, three]

    assert "is of another one" in refusal_of(Swapped())


def test_a_confirmation_is_of_this_wallet_and_signed() -> None:
    class OtherWallet(Refresh):
        def done_of_first(self, index: int) -> bytes:
            wallet_id = type(self.first.terms.wallet_id)(b"w" * 16)
            address = Address(wallet_id, bytes(32), NOTHING, index, EVERYBODY)
            return self.signed(DONE, address, self.ceremony.done(index).to_bytes())

    class Forged(Refresh):
        def done_of_first(self, index: int) -> bytes:
            message = super().done_of_first(index)
            return message[:-1] + bytes([message[-1] ^ 1])

    assert "of another wallet" in refusal_of(OtherWallet())
    refusal_of(Forged())


def test_a_confirmation_is_a_done() -> None:
    class Another(Refresh):
        def dones(self) -> list[bytes]:
            return [*super().dones()[:2], self.said(JOIN, 3, b"")]

    assert "is of another one" in refusal_of(Another())


@pytest.mark.parametrize("behind", [2, 3], ids=["a member", "who is absent"])
def test_each_confirmation_is_of_this_epoch(behind: int) -> None:
    """Whoever has retired an older one has no key any more for what is sealed to that."""

    class Behind(Refresh):
        def done_of_first(self, index: int) -> bytes:
            if index != behind:
                return super().done_of_first(index)
            done = self.ceremony.done(index).to_bytes()
            payload = done[:10] + b"o" * 32 + done[42:]
            return self.said(ADOPTION, index, payload)

    assert f"the DONE of holder {behind} is of another epoch" in refusal_of(Behind())


def test_no_two_delivery_keys_are_equal() -> None:
    """Two deltas would be sealed under one pad: key and nonce hang on keys, not on indices."""

    class Copied(Refresh):
        def __init__(self) -> None:
            super().__init__()
            self.ceremony.deliveries[2] = self.ceremony.deliveries[0]

    assert "two holders have one delivery key" in refusal_of(Copied())


def test_whatever_is_wrong_inside_is_an_error_of_ours() -> None:
    """Every single byte changed: refused, or read as what it is; nothing else is ever raised."""
    attempt = Refresh()
    payload = attempt.propose_payload()
    for place in range(0, len(payload), 97):
        broken = payload[:place] + bytes([payload[place] ^ 0x55]) + payload[place + 1 :]
        message = parse_envelope(attempt.said(PROPOSE, COORDINATOR, broken))
        try:
            check_propose(message, attempt.first, attempt.keys)
        except HsmMpcError:
            continue
        assert 10 <= place < 42, "only the ask's hash is not checked here"
