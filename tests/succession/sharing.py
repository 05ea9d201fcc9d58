"""One attempt to share the key of a 2-of-3 wallet anew, 3-of-4, of software keys and public points.

All three old holders join, of whom the first two deal. Holder 2 leaves; n1 and n2 come. As in
`making`, a test overrides one part to make an attempt that is wrong in exactly one place.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property

from hsm_mpc.certificates.body import EpochBody, EpochKind
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.resharing import Resharing
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.encoding import lv32, u16be
from hsm_mpc.roster import Member, Roster
from hsm_mpc.succession.ack import Ack
from hsm_mpc.succession.newcomers import NewHello
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.successor import NO_SHARE, SharedAnew, SuccessorCertificate
from hsm_mpc.tags import Tag, tagged_hash
from hsm_mpc.wire.rounds import FIRST_NEW_HOLDER, NEW_ACK, NEW_DONE, NEW_HELLO, RESHARE_DEAL
from tests.certificates.ceremony import Q, drawn, point
from tests.software_identity import SoftwareKey, p256_key
from tests.succession.making import Refresh

COMING = (p256_key(401), p256_key(402))


class Reshare(Refresh):
    """The attempt."""

    members = (1, 2, 3)
    threshold = 3

    @property
    def dealers(self) -> tuple[int, ...]:
        """Q."""
        return self.members[:2]

    def newcomers(self) -> list[tuple[str, SoftwareKey]]:
        """The new holders, in their order."""
        old = self.ceremony.identity
        return [("h1", old(1)), ("h3", old(3)), ("n1", COMING[0]), ("n2", COMING[1])]

    def in_force(self) -> Roster:
        """The one that ROSTER' follows."""
        return self.ceremony.roster

    @cached_property
    def roster(self) -> Roster:
        """ROSTER'."""
        members = [Member(name, key.public) for name, key in self.newcomers()]
        return self.in_force().followed_by(members)

    def sizes(self) -> QuorumSizes:
        return QuorumSizes.default(self.roster.n, self.threshold)

    def replaced_sizes(self) -> QuorumSizes:
        """As the certificate says."""
        return self.first.terms.sizes

    def resharing(self) -> Resharing:
        return Resharing(self.sizes(), self.roster)

    @property
    def places(self) -> range:
        """1 to n'."""
        return range(1, self.roster.n + 1)

    def identity(self, index: int) -> SoftwareKey:
        if index <= FIRST_NEW_HOLDER:
            return super().identity(index)
        return self.newcomers()[index - FIRST_NEW_HOLDER - 1][1]

    # HELLO' and PROPOSE

    def greeting(self, k: int) -> NewHello:
        kek = hashlib.sha256(b"new holder's kek %d" % k).digest()
        nonce = hashlib.sha256(b"new holder's nonce %d" % k).digest()
        return NewHello(nonce, point(drawn("new v", k)), kek)

    def hello(self, k: int) -> bytes:
        return self.said(NEW_HELLO, FIRST_NEW_HOLDER + k, self.greeting(k).to_bytes())

    def hellos(self) -> list[bytes]:
        return [self.hello(k) for k in self.places]

    def propose_payload(self) -> bytes:
        hellos = self.hellos()
        listed = u16be(len(hellos)) + b"".join(lv32(each) for each in hellos)
        return super().propose_payload() + listed

    # DEAL, ACK and CERT

    def coefficients(self, index: int) -> list[int]:
        """Of f_i, whose constant is λ_i(Q; 0)·x_i."""
        other = next(each for each in self.dealers if each != index)
        at = [sum(p[k] for p in self.ceremony.polynomials) for k in (0, 1)]
        share = at[0] + at[1] * index
        part = share * other * pow(other - index, -1, Q) % Q
        return [part, *(drawn("b", index, k) for k in range(1, self.threshold))]

    def dealt(self, index: int) -> bytes:
        return b"".join(point(each) for each in self.coefficients(index))

    def deal(self, index: int) -> bytes:
        sid = tagged_hash(Tag.REFRESH, self.propose())
        payload = self.attempt().to_bytes() + sid + self.dealt(index) + b"and the rest of it"
        return self.said(RESHARE_DEAL, index, payload)

    def deals(self) -> list[bytes]:
        return [self.deal(index) for index in self.dealers]

    def commitments(self) -> tuple[bytes, ...]:
        columns = zip(*(self.coefficients(index) for index in self.dealers), strict=True)
        return tuple(point(sum(column) % Q) for column in columns)

    def terms(self) -> WalletTerms:
        return replace(self.first.terms, sizes=self.sizes(), roster_hash=self.roster.hash)

    def body(self) -> EpochBody:
        return EpochBody(
            kind=EpochKind.RESHARE,
            terms=self.terms(),
            epoch=1,
            prev_hash=self.first.hash,
            commitments=self.commitments(),
            transcript_hash=self.transcript_hash(),
        )

    def acknowledged_share(self, index: int) -> tuple[bytes, bytes]:
        """kek_digest and blob_digest in the ACK of an old holder."""
        return NO_SHARE, NO_SHARE

    def arrived_share(self, k: int) -> tuple[bytes, bytes]:
        """The same of a new one."""
        return self.greeting(k).kek_digest, hashlib.sha256(b"new holder's blob %d" % k).digest()

    def acknowledgement(self, index: int) -> Acknowledgement:
        return self._acknowledgement(index, *self.acknowledged_share(index))

    def new_acknowledgement(self, k: int) -> Acknowledgement:
        return self._acknowledgement(FIRST_NEW_HOLDER + k, *self.arrived_share(k))

    def _acknowledgement(self, sender: int, kek: bytes, blob: bytes) -> Acknowledgement:
        message = self.body().hash + u16be(sender) + kek + blob
        if message not in self._acknowledged:
            self._acknowledged[message] = self.identity(sender).sign(Tag.ACK, message)
        return Acknowledgement(kek, blob, self._acknowledged[message])

    def new_ack(self, k: int) -> bytes:
        ack = Ack(self.attempt(), self.body().hash, self.new_acknowledgement(k))
        return self.said(NEW_ACK, FIRST_NEW_HOLDER + k, ack.to_bytes())

    def shared_anew(self) -> SharedAnew:
        new = tuple(self.new_acknowledgement(k) for k in self.places)
        return SharedAnew(self.roster, self.replaced_sizes(), new)

    def certificate(self) -> SuccessorCertificate:
        return replace(super().certificate(), shared_anew=self.shared_anew())

    # DONE and RETIRE

    def adopted(self, index: int) -> Done:
        key = point(self.ceremony.deliveries[index - 1])
        return Done(self.attempt(), self.body().hash, key, NO_SHARE, NO_SHARE)

    def arrival(self, k: int) -> bytes:
        """DONE' of a new holder."""
        key = self.greeting(k).delivery_key
        done = Done(self.attempt(), self.body().hash, key, *self.arrived_share(k))
        return self.said(NEW_DONE, FIRST_NEW_HOLDER + k, done.to_bytes())

    def retirement(self) -> Retirement:
        adopted = tuple(self.done(index) for index in (1, 2, 3))
        return Retirement(adopted, tuple(self.arrival(k) for k in self.places))
