"""n DONEs, each saying what the certificate says (step 2.6.8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.done import Done
from hsm_mpc.errors import BadEncoding, InvalidSignature, ProtocolAbort
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.dones import check_all_done
from hsm_mpc.wire.envelope import Address, seal_envelope
from hsm_mpc.wire.rounds import DONE, HELLO, Key, MessageKind
from tests.certificates.ceremony import Ceremony, point

NOW = 0


class Closing:
    """The last round of a key generation, in which any holder may say anything."""

    def __init__(self) -> None:
        self.ceremony = Ceremony()
        self.certificate = self.ceremony.certificate()
        terms = self.certificate.body.terms
        self.address = Address(
            terms.wallet_id, self.certificate.extension.session_id, EpochHash(bytes(32)), 0, 0
        )
        self.sources = [self.said(index, self.ceremony.done(index)) for index in (1, 2, 3)]

    def said(
        self,
        index: int,
        done: Done | bytes,
        kind: MessageKind = DONE,
        address: Address | None = None,
        signer: int | None = None,
    ) -> bytes:
        payload = done if isinstance(done, bytes) else done.to_bytes()
        where = replace(address or self.address, sender=index)
        sign = self.ceremony.identity(signer or index).sign
        return seal_envelope(kind, where, payload, Key.IDENTITY, sign).to_bytes()

    def check(self) -> None:
        check_all_done(KeyBook(self.ceremony.roster, {}), self.certificate, self.sources, NOW)


@pytest.fixture
def closing() -> Closing:
    return Closing()


def test_one_done_of_each_holder_makes_a_key_public(closing: Closing) -> None:
    closing.check()


@pytest.mark.parametrize("left", [0, 1, 2, 4])
def test_another_number_of_dones_is_refused(closing: Closing, left: int) -> None:
    closing.sources = (closing.sources * 2)[:left]
    with pytest.raises(BadEncoding, match=f"{left} messages DONE of 3"):
        closing.check()


def test_one_holder_twice_is_not_two_holders(closing: Closing) -> None:
    closing.sources[2] = closing.sources[1]
    with pytest.raises(BadEncoding, match="sender 2 is not expected"):
        closing.check()


def test_a_done_signed_by_another_is_nobodys(closing: Closing) -> None:
    closing.sources[1] = closing.said(2, closing.ceremony.done(2), signer=3)
    with pytest.raises(InvalidSignature):
        closing.check()


@pytest.mark.parametrize(
    "changes",
    [
        {"wallet_id": WalletId(b"another wallet..")},
        {"session_id": bytes(32)},
        {"epoch_hash": EpochHash(b"h" * 32)},
        {"receiver": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_done_of_another_session_is_refused(closing: Closing, changes: dict[str, object]) -> None:
    address = replace(closing.address, **changes)  # type: ignore[arg-type]
    closing.sources[1] = closing.said(2, closing.ceremony.done(2), address=address)
    with pytest.raises(BadEncoding):
        closing.check()


def test_another_message_is_no_done(closing: Closing) -> None:
    closing.sources[1] = closing.said(2, closing.ceremony.done(2), HELLO)
    with pytest.raises(BadEncoding, match="a HELLO where a DONE"):
        closing.check()


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": Attempt(1, 0x8000)},
        {"epoch_hash": EpochHash(b"h" * 32)},
        {"delivery_key": point(7)},
        {"kek_digest": bytes(32)},
        {"blob_digest": bytes(32)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_signed_done_that_says_something_else_names_its_sender(
    closing: Closing, changes: dict[str, object]
) -> None:
    """Step 1.7.3: what is wrong behind a valid signature is its sender's."""
    done = replace(closing.ceremony.done(2), **changes)  # type: ignore[arg-type]
    closing.sources[1] = closing.said(2, done)
    with pytest.raises(ProtocolAbort, match="not say what the certificate says") as abort:
        closing.check()
    assert abort.value.culprits == (2,)


def test_all_who_cheat_are_named(closing: Closing) -> None:
    closing.sources[0] = closing.said(1, closing.ceremony.done(1).to_bytes() + b"\0")
    closing.sources[2] = closing.said(3, closing.ceremony.done(2))
    with pytest.raises(ProtocolAbort) as abort:
        closing.check()
    assert abort.value.culprits == (1, 3)
