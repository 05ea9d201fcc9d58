"""A whole key generation as certificates see it, made with ordinary integers as secrets.

Each method makes one part from the parts before it; a test overrides one to make a certificate
that is wrong in exactly one place and rightly signed everywhere else. The signatures are written
out from section 2.2, independently of the product.
"""

from __future__ import annotations

import hashlib
from functools import cached_property

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import NO_EPOCH_BEFORE, EpochBody, EpochKind
from hsm_mpc.certificates.certificate import Acknowledgement, Certificate
from hsm_mpc.certificates.clients import Client, ClientList
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.extension import Extension
from hsm_mpc.certificates.hello import Hello, session_id_of
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import WalletTerms, suite_of, wallet_id_of
from hsm_mpc.certificates.transcript import Transcript
from hsm_mpc.encoding import u16be, u32le, u64be
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.ids import EpochHash, Scheme
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.tags import Tag, tagged_hash
from tests.software_identity import SoftwareKey, ed25519_key, p256_key

Q = SECP256K1.order
SUITE_ID = b"COCKTAIL(secp256k1, SHA-256)"


def point(scalar: int) -> bytes:
    encoded = SECP256K1.base_multiple(scalar)
    assert encoded is not None
    return encoded


def drawn(label: str, *numbers: int) -> int:
    """A secret of the tests, the same in every run."""
    seed = f"{label} {numbers}".encode()
    return int.from_bytes(hashlib.sha256(seed).digest(), "big") % Q


def schnorr_signed(secret: int, message: bytes) -> bytes:
    """Step 2.2.3 with an arbitrary nonce."""
    nonce = drawn("nonce", secret)
    commitment, public = point(nonce), point(secret)
    digest = tagged_hash(Tag.COCKTAIL_H7, commitment + public + message)
    answer = (nonce + int.from_bytes(digest, "big") * secret) % Q
    return commitment + answer.to_bytes(32, "big")


class Ceremony:
    """2-of-3, unless a test says otherwise."""

    n = 3
    t = 2
    name = "treasury"
    scheme = Scheme.TAPROOT

    def __init__(self) -> None:
        self.statics = [drawn("d", j) for j in self.indices]
        self.deliveries = [drawn("v", j) for j in self.indices]
        self.ephemerals = [drawn("e", j) for j in self.indices]
        self.polynomials = [[drawn("a", j, k) for k in range(self.t)] for j in self.indices]
        self.kek_digests = [hashlib.sha256(b"kek %d" % j).digest() for j in self.indices]
        self.blob_digests = [hashlib.sha256(b"blob %d" % j).digest() for j in self.indices]

    @property
    def indices(self) -> range:
        return range(1, self.n + 1)

    def identity(self, index: int) -> SoftwareKey:
        return p256_key(index)

    @cached_property
    def roster(self) -> Roster:
        members = tuple(Member(f"h{j}", self.identity(j).public) for j in self.indices)
        return Roster(lab=False, version=1, predecessor=FIRST_PREDECESSOR, members=members)

    def proposal(self) -> Proposal:
        nonce = b"\x0a" * 32
        clients = ClientList(
            wallet_id_of(self.name, nonce),
            1,
            FIRST_PREDECESSOR,
            (Client("till", ed25519_key(b"\x0c" * 32).public),),
        )
        return Proposal(
            nonce=nonce,
            name=self.name,
            scheme=self.scheme,
            sizes=QuorumSizes.default(self.n, self.t),
            roster=self.roster,
            policy_hash=hashlib.sha256(b"version: 1\n").digest(),
            clients=clients,
            deadline=1_800_000_000,
        )

    def hellos(self) -> list[Hello]:
        return [
            Hello(
                hashlib.sha256(b"nonce %d" % j).digest(),
                point(self.statics[j - 1]),
                point(self.deliveries[j - 1]),
                self.kek_digests[j - 1],
            )
            for j in self.indices
        ]

    def session_id(self) -> bytes:
        messages = [b"envelope of " + hello.to_bytes() for hello in self.hellos()]
        return session_id_of(self.proposal().hash, messages)

    def extension(self) -> Extension:
        return Extension(
            terms=self.proposal().terms,
            clients_hash=self.proposal().clients.hash,
            delivery_keys=tuple(hello.delivery_key for hello in self.hellos()),
            kek_digests=tuple(self.kek_digests),
            session_id=self.session_id(),
        )

    def static_keys(self) -> tuple[bytes, ...]:
        return tuple(point(d) for d in self.statics)

    def context(self) -> bytes:
        """Step 2.4.2, written out."""
        session = self.session_id()
        return hashlib.sha256(
            b"COCKTAIL-DKG-CONTEXT"
            + u64be(32)
            + session
            + u64be(len(SUITE_ID))
            + SUITE_ID
            + u32le(self.n)
            + b"".join(self.static_keys())
        ).digest()

    def commitments(self) -> tuple[tuple[bytes, ...], ...]:
        return tuple(tuple(point(a) for a in polynomial) for polynomial in self.polynomials)

    def possession(self, index: int) -> bytes:
        own = b"".join(self.commitments()[index - 1])
        message = self.context() + own + point(self.ephemerals[index - 1])
        return schnorr_signed(self.polynomials[index - 1][0], message)

    def transcript(self) -> Transcript:
        return Transcript(
            suite=suite_of(self.scheme),
            context=self.context(),
            threshold=self.t,
            static_keys=self.static_keys(),
            commitments=self.commitments(),
            possessions=tuple(self.possession(j) for j in self.indices),
            ephemeral_keys=tuple(point(e) for e in self.ephemerals),
            extension=self.extension().to_bytes(),
        )

    def transcript_hash(self) -> bytes:
        return hashlib.sha256(self.transcript().to_bytes()).digest()

    def terms(self) -> WalletTerms:
        return self.extension().terms

    def sums(self) -> tuple[bytes, ...]:
        return tuple(point(sum(column)) for column in zip(*self.polynomials, strict=True))

    def body(self) -> EpochBody:
        return EpochBody(
            kind=EpochKind.KEY_GENERATION,
            terms=self.terms(),
            epoch=0,
            prev_hash=NO_EPOCH_BEFORE,
            commitments=self.sums(),
            transcript_hash=self.transcript_hash(),
        )

    def signature(self, index: int, message: bytes) -> bytes:
        return schnorr_signed(self.statics[index - 1], message)

    def acknowledgement(self, index: int, epoch_hash: EpochHash) -> Acknowledgement:
        kek, blob = self.kek_digests[index - 1], self.blob_digests[index - 1]
        message = epoch_hash + u16be(index) + kek + blob
        return Acknowledgement(kek, blob, self.identity(index).sign(Tag.ACK, message))

    def certificate(self) -> Certificate:
        body, transcript = self.body(), self.transcript()
        return Certificate(
            body=body,
            transcript=transcript,
            extension=self.extension(),
            signatures=tuple(self.signature(j, transcript.to_bytes()) for j in self.indices),
            acknowledgements=tuple(self.acknowledgement(j, body.hash) for j in self.indices),
        )

    def done(self, index: int) -> Done:
        return Done(
            Attempt.NONE,
            self.body().hash,
            point(self.deliveries[index - 1]),
            self.kek_digests[index - 1],
            self.blob_digests[index - 1],
        )
