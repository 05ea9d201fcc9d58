"""What a coordinator remembers of the successions of a wallet, all of it public."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.encoding import Reader
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.succession.propose import attempt_in
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.envelope import bundle, parse_envelope, unbundled
from hsm_mpc.wire.rounds import FIRST_NEW_HOLDER
from hsm_mpc.wire.wallet_calls import ShownSuccession

_CERTIFICATES_KEPT: Final = 256
"""Parsed: signing looks at one for each signature."""


@dataclass(frozen=True, slots=True)
class Succession:
    """How one epoch of a wallet came to replace the one before, as far as it has come."""

    wallet_id: WalletId
    epoch: int
    """Number of the successor."""
    propose: bytes
    """Of the attempt in which it is adopted."""
    certificate: bytes
    """Payload of its CERT."""
    transcript: bytes
    """For holders that were away."""
    dones: Mapping[int, bytes]
    """The DONE message of each holder that has adopted it, and of each new holder that has its
    share, by the number that it sends as.
    """
    history: bytes = b""
    """PROPOSE of each attempt between the one that made it and that one, newest first."""
    retirement: bytes = b""
    """Payload of RETIRE; empty: not enough holders have adopted it."""
    destroyed: Mapping[int, bytes] = field(default_factory=dict)
    """The DESTROYED message of each holder whose old key is gone."""

    @classmethod
    def of(cls, wallet_id: WalletId, certificate: SuccessorCertificate) -> Succession:
        """One of which nothing is known but the certificate."""
        epoch, payload = certificate.body.epoch, certificate.to_bytes()
        return cls(wallet_id, epoch, certificate.propose, payload, b"", {})

    @property
    def certified(self) -> SuccessorCertificate:
        """What certifies it, parsed."""
        return _parsed(self.certificate)

    @property
    def body(self) -> EpochBody:
        """Of the successor."""
        return self.certified.body

    def attempts(self) -> Iterator[Succession]:
        """It in each attempt in which holders may have adopted it, the newest first."""
        made = self.certified.propose
        carried = [] if self.propose == made else [self.propose, *unbundled(self.history)]
        for count, propose in enumerate([*carried, made], 1):
            yield replace(self, propose=propose, history=bundle(carried[count:]))

    @property
    def arrived(self) -> Mapping[int, bytes]:
        """The DONE of each holder that a resharing has given a share, by its new index."""
        return {
            sender - FIRST_NEW_HOLDER: done
            for sender, done in self.dones.items()
            if sender > FIRST_NEW_HOLDER
        }

    @property
    def arrivals(self) -> tuple[bytes, ...]:
        """Those, in the order of the new roster; none: it is a refresh."""
        arrived = self.arrived
        return tuple(arrived[index] for index in sorted(arrived))

    @property
    def not_arrived(self) -> tuple[int, ...]:
        """The new indices of those that a resharing gives a share, and have not said it yet."""
        new, arrived = self.certified.shared_anew, self.arrived
        indices = () if new is None else range(1, new.roster.n + 1)
        return tuple(index for index in indices if index not in arrived)

    @property
    def is_adopted(self) -> bool:
        """Whether a quorum can sign in it: of a resharing once the epoch before may go."""
        if self.certified.shared_anew is not None:
            return bool(self.retirement)
        return len(self.dones) >= self.body.terms.sizes.t

    @property
    def is_undecided(self) -> bool:
        """Whether the holders are those of the epoch before still: a resharing gives the key to
        others only once that one may go.
        """
        return self.certified.shared_anew is not None and not self.retirement

    @property
    def waiting_for(self) -> tuple[int, ...]:
        """Whose DONE in this attempt is missing, or after the retirement whose DESTROYED, counted
        as in the epoch that is replaced.
        """
        holders = range(1, self.certified.replaced_sizes.n + 1)
        there = self.destroyed if self.retirement else self.votes
        return tuple(index for index in holders if index not in there)

    @property
    def votes(self) -> Mapping[int, bytes]:
        """The DONEs that retire the epoch before together: all of the attempt in `propose`."""
        attempt = attempt_in(self.propose)
        return {
            sender: done
            for sender, done in self.dones.items()
            if sender < FIRST_NEW_HOLDER and _attempt_of(done) == attempt
        }

    def shown(self) -> ShownSuccession:
        """As clients see it."""
        return ShownSuccession(
            self.certificate,
            tuple(self.dones[index] for index in sorted(self.dones)),
            self.retirement,
            tuple(self.destroyed[index] for index in sorted(self.destroyed)),
        )

    def with_done(self, message: bytes) -> Succession:
        """One more holder has adopted it."""
        return replace(self, dones={**self.dones, parse_envelope(message).address.sender: message})

    def with_destroyed(self, message: bytes) -> Succession:
        """One more holder has destroyed its old key."""
        sender = parse_envelope(message).address.sender
        return replace(self, destroyed={**self.destroyed, sender: message})


@dataclass(frozen=True, slots=True)
class Epochs:
    """A wallet's epochs: the first, its DONEs, and every succession since."""

    first: EpochBody
    """Of the key generation."""
    first_dones: tuple[bytes, ...]
    successions: tuple[Succession, ...]
    repaired: Mapping[tuple[EpochHash, int], bytes] = field(default_factory=dict)
    """By epoch and holder: the DONE message of each whose share of it was repaired."""

    @property
    def newest(self) -> Succession | None:
        """The last succession."""
        return self.successions[-1] if self.successions else None

    @property
    def newest_body(self) -> EpochBody:
        """Of the last epoch that is certified, whether it is adopted yet or not."""
        return self.body(len(self.successions))

    @property
    def lasting(self) -> Epochs:
        """Up to the one that an attempt replaces: the newest that is there for good."""
        newest = self.newest
        if newest is None or newest.retirement:
            return self
        return replace(self, successions=self.successions[:-1])

    @property
    def held(self) -> Epochs:
        """Up to the newest one whose holders have it for good."""
        newest = self.newest
        return self.lasting if newest is not None and newest.is_undecided else self

    def body(self, epoch: int) -> EpochBody:
        """Of the epoch with this number."""
        return self.first if epoch == 0 else self.successions[epoch - 1].body

    def retirement_of(self, epoch: int) -> bytes:
        """Payload of the RETIRE that ended the epoch before this one; of epoch 0 empty."""
        return b"" if epoch == 0 else self.successions[epoch - 1].retirement

    def adopted(self) -> Succession | None:
        """The newest succession whose epoch can sign: a quorum has adopted it."""
        return next((each for each in reversed(self.successions) if each.is_adopted), None)

    def shown(self) -> ShownSuccession | None:
        """What clients are shown of it; None: no succession was adopted yet."""
        newest = self.adopted()
        return None if newest is None else newest.shown()

    def newest_done(self, index: int, epoch: int) -> bytes:
        """What a holder said last when this epoch was the newest."""
        repaired = self.repaired.get((self.body(epoch).hash, index))
        if repaired is not None:
            return repaired
        for succession in reversed(self.successions[:epoch]):
            if succession.certified.shared_anew is not None:  # nobody of before is counted like now
                return succession.arrived[index]
            if index in succession.dones:
                return succession.dones[index]
        return self.first_dones[index - 1]


def signing_body(
    first: EpochBody, newest: Sequence[Succession], candidates: Collection[int]
) -> EpochBody:
    """The epoch in which these holders sign together (step 6.5.8).

    Args:
        first: of the key generation.
        newest: the last two successions of the wallet, or as many as there are.
    """
    if not newest:
        return first
    last = newest[-1]
    there, shared_anew = len(last.dones.keys() & set(candidates)), last.certified.shared_anew
    if last.retirement or (there >= last.body.terms.sizes.t and shared_anew is None):
        return last.body
    return newest[-2].body if len(newest) > 1 else first


def _attempt_of(done: bytes) -> Attempt:
    return Attempt.read(Reader(parse_envelope(done).payload, "done"))


@lru_cache(_CERTIFICATES_KEPT)
def first_body(certificate: bytes) -> EpochBody:
    """The body in the certificate of a key generation."""
    return Certificate.from_bytes(certificate).body


@lru_cache(_CERTIFICATES_KEPT)
def _parsed(certificate: bytes) -> SuccessorCertificate:
    return SuccessorCertificate.from_bytes(certificate)
