"""One attempt to refresh epoch 0 of a 2-of-3 wallet, made of software keys and public points.

Each method makes one part from the parts before it; a test overrides one to make an attempt that
is wrong in exactly one place and rightly signed everywhere else. Holder 3 is absent.
"""

from __future__ import annotations

import hashlib
from functools import cached_property

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody, EpochKind
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.done import Done
from hsm_mpc.encoding import lv32, u8, u16be, u64be
from hsm_mpc.ids import EpochHash
from hsm_mpc.succession.ack import Ack
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.tags import Tag, tagged_hash
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address, Message, parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import (
    ACK,
    ADOPTION,
    DEAL,
    DESTROYED,
    DONE,
    EVERYBODY,
    JOIN,
    PROPOSE,
    RESHARE_DEAL,
    Key,
    MessageKind,
)
from tests.certificates.ceremony import Ceremony, drawn, point
from tests.software_identity import SoftwareKey, ed25519_key

COORDINATOR = 0x8000
NOTHING = EpochHash(bytes(32))


class Refresh:
    """The attempt. `members` are those that join, deal and acknowledge."""

    members: tuple[int, ...] = (1, 2)
    counter = 1_800_000_000
    initiator = COORDINATOR
    ask_digest = hashlib.sha256(b"the ask").digest()

    def __init__(self) -> None:
        self.ceremony = Ceremony()
        self._signed: dict[tuple[MessageKind, Address, bytes], bytes] = {}
        self._acknowledged: dict[bytes, bytes] = {}

    @cached_property
    def first(self) -> EpochBody:
        return self.ceremony.body()

    @cached_property
    def keys(self) -> KeyBook:
        return KeyBook(self.ceremony.roster, {COORDINATOR: self.coordinator().public})

    def coordinator(self) -> SoftwareKey:
        return ed25519_key(b"\x0d" * 32)

    def identity(self, index: int) -> SoftwareKey:
        return self.ceremony.identity(index)

    def attempt(self) -> Attempt:
        return Attempt(self.counter, self.initiator)

    def session(self) -> bytes:
        return tagged_hash(Tag.ATTEMPT, self.replaced() + self.attempt().to_bytes())

    def replaced(self) -> EpochHash:
        return self.first.hash

    def said(self, kind: MessageKind, sender: int, payload: bytes) -> bytes:
        """A message of the attempt, signed by whoever has to sign it."""
        address = Address(
            self.first.terms.wallet_id, self.session(), self.replaced(), sender, EVERYBODY
        )
        return self.signed(kind, address, payload)

    def signed(self, kind: MessageKind, address: Address, payload: bytes) -> bytes:
        """The same bytes each time, although ECDSA draws a nonce."""
        named = (kind, address, payload)
        if named not in self._signed:
            self._signed[named] = self._sealed(kind, address, payload)
        return self._signed[named]

    def _sealed(self, kind: MessageKind, address: Address, payload: bytes) -> bytes:
        if address.sender >= COORDINATOR:
            signer, key = self.coordinator(), Key.COORDINATOR
        else:
            signer, key = self.identity(address.sender), Key.IDENTITY
        if kind in (DEAL, RESHARE_DEAL):  # certificates name their hash only
            key = Key.CHANNEL
        return seal_envelope(kind, address, payload, key, signer.sign).to_bytes()

    # JOIN and PROPOSE

    def adoption(self, index: int) -> bytes:
        """What holder `index` reports as adopted: nothing."""
        return u8(0)

    def join(self, index: int) -> bytes:
        return self.said(JOIN, index, self.attempt().to_bytes() + self.adoption(index))

    def joins(self) -> list[bytes]:
        return [self.join(index) for index in self.members]

    def done_of_first(self, index: int) -> bytes:
        """The DONE of epoch 0, which names V_i."""
        address = Address(
            self.first.terms.wallet_id, self.ceremony.session_id(), NOTHING, index, EVERYBODY
        )
        return self.signed(DONE, address, self.ceremony.done(index).to_bytes())

    def dones(self) -> list[bytes]:
        return [self.done_of_first(index) for index in (1, 2, 3)]

    def choice(self) -> bytes:
        return u8(0) + bytes(32)

    def certificates(self) -> list[bytes]:
        return []

    def amendments(self) -> list[bytes]:
        return []

    def propose_payload(self) -> bytes:
        joins, certificates = self.joins(), self.certificates()
        return (
            u64be(self.counter)
            + u16be(self.initiator)
            + self.ask_digest
            + self.choice()
            + u16be(len(joins))
            + b"".join(lv32(each) for each in joins)
            + u16be(len(certificates))
            + b"".join(lv32(each) for each in certificates)
            + b"".join(lv32(each) for each in self.dones())
            + u16be(len(self.amendments()))
            + b"".join(lv32(each) for each in self.amendments())
        )

    def propose(self) -> bytes:
        return self.said(PROPOSE, COORDINATOR, self.propose_payload())

    def proposed(self) -> Message:
        return parse_envelope(self.propose())

    # DEAL, ACK and CERT

    def dealt(self, index: int) -> bytes:
        """C_{i,1}: all that a 2-of-3 dealing commits to."""
        return point(drawn("b", index))

    def deal(self, index: int) -> bytes:
        sid = tagged_hash(Tag.REFRESH, self.propose())
        payload = self.attempt().to_bytes() + sid + self.dealt(index) + b"and the rest of it"
        return self.said(DEAL, index, payload)

    def deals(self) -> list[bytes]:
        return [self.deal(index) for index in self.members]

    def commitments(self) -> tuple[bytes, ...]:
        dealt = sum(drawn("b", index) for index in self.members)
        polynomials = self.ceremony.polynomials
        return (self.first.group_key, point(sum(each[1] for each in polynomials) + dealt))

    def transcript_hash(self) -> bytes:
        digests = b"".join(hashlib.sha256(deal).digest() for deal in self.deals())
        return tagged_hash(Tag.PROPOSE, lv32(self.propose()) + digests)

    def body(self) -> EpochBody:
        return EpochBody(
            kind=EpochKind.REFRESH,
            terms=self.first.terms,
            epoch=1,
            prev_hash=self.first.hash,
            commitments=self.commitments(),
            transcript_hash=self.transcript_hash(),
        )

    def acknowledgement(self, index: int) -> Acknowledgement:
        kek = hashlib.sha256(b"new kek %d" % index).digest()
        blob = hashlib.sha256(b"new blob %d" % index).digest()
        message = self.body().hash + u16be(index) + kek + blob
        if message not in self._acknowledged:
            self._acknowledged[message] = self.identity(index).sign(Tag.ACK, message)
        return Acknowledgement(kek, blob, self._acknowledged[message])

    def ack(self, index: int) -> bytes:
        payload = Ack(self.attempt(), self.body().hash, self.acknowledgement(index)).to_bytes()
        return self.said(ACK, index, payload)

    def certificate(self) -> SuccessorCertificate:
        return SuccessorCertificate(
            body=self.body(),
            propose=self.propose(),
            deal_digests=tuple(hashlib.sha256(deal).digest() for deal in self.deals()),
            acknowledgements=tuple(self.acknowledgement(index) for index in self.members),
        )

    # DONE and DESTROYED

    def adopted(self, index: int) -> Done:
        ack = self.acknowledgement(index)
        delivery_key = point(drawn("v'", index))
        return Done(self.attempt(), self.body().hash, delivery_key, ack.kek_digest, ack.blob_digest)

    def done(self, index: int) -> bytes:
        return self.said(ADOPTION, index, self.adopted(index).to_bytes())

    def destroyed_payload(self, index: int) -> bytes:
        return (
            self.attempt().to_bytes()
            + self.first.hash
            + self.body().hash
            + self.ceremony.kek_digests[index - 1]
            + u64be(self.counter + 60)
        )

    def destroyed(self, index: int) -> bytes:
        return self.said(DESTROYED, index, self.destroyed_payload(index))
