"""One signature, step by step, by a coordinator that does as it likes and signers that may lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from hsm_mpc.agent.signing import SigningDesk
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.protocols.signing_messages import (
    LEASE_ID_BYTES,
    Commitment,
    CommitPayload,
    PartialPayload,
    SignPayload,
)
from hsm_mpc.protocols.wallet_key import AggregatedList, WalletKey
from hsm_mpc.requests import Request
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.envelope import parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import SIGN, Key
from tests.agent.making import resigned
from tests.agent.simulate import Party, World


@dataclass
class Round:
    """A request, the COMMITs under it, and SIGN lists of the test's choice."""

    world: World
    certificate: Certificate | SuccessorCertificate
    message: bytes = b"pay somebody something"
    request: Request = field(init=False)
    asked: bytes = field(init=False)
    commits: dict[int, bytes] = field(default_factory=dict)
    attempts: dict[tuple[bytes, ...], int] = field(default_factory=dict)
    """An honest coordinator never lists other COMMITs under one attempt (step 1.7.4)."""

    def __post_init__(self) -> None:
        self.request, self.asked = self.world.requested(self.certificate, self.message)

    @property
    def session_id(self) -> bytes:
        return self.request.session_id(self.certificate.body.hash)

    def commit(self, *indices: int) -> Round:
        """These holders offer a nonce."""
        for index in indices:
            (self.commits[index],) = self.world.parties[index].desk.request(self.asked)
        return self

    def sign(self, index: int, source: bytes | None = None) -> bytes:
        """What a signer answers to a SIGN message, by default to one that lists all."""
        channels = self.world.channels()
        message = self.listed() if source is None else source
        (partial,) = self.world.parties[index].desk.sign(message, channels)
        return partial

    def listed(
        self, commits: Sequence[bytes] | None = None, attempt: int | None = None, k: int = 0
    ) -> bytes:
        """The SIGN message for these COMMITs, by default for all, ascending."""
        everybody = [self.commits[index] for index in sorted(self.commits)]
        chosen = tuple(everybody if commits is None else commits)
        number = self.attempts.setdefault(chosen, len(self.attempts))
        payload = SignPayload(number if attempt is None else attempt, k, chosen)
        return self.said(payload.to_bytes())

    def said(self, payload: bytes, **address: object) -> bytes:
        """A SIGN message with this payload."""
        h = self.certificate.body.hash
        wallet_id = self.certificate.body.terms.wallet_id
        message = self.world.said(SIGN, wallet_id, self.session_id, h, payload)
        if not address:
            return message
        where = replace(parse_envelope(message).address, **address)  # type: ignore[arg-type]
        sign = self.world.coordinator.sign
        return seal_envelope(SIGN, where, payload, Key.COORDINATOR, sign).to_bytes()

    def lied(self, index: int, payload: bytes | None = None, **changes: object) -> bytes:
        """A COMMIT that this holder signs instead of its own."""
        honest = commit_in(self.commits[index])
        said = payload if payload is not None else replace(honest, **changes).to_bytes()  # type: ignore[arg-type]
        return resigned(self.world, self.commits[index], said)

    def aggregator(self, indices: Iterable[int]) -> AggregatedList:
        """The coordinator's side of the list of these holders' COMMITs."""
        commitments = []
        for index in sorted(indices):
            source = self.commits[index]
            parsed = commit_in(source)
            commitments.append(
                Commitment(index, parsed.k, parsed.lease_id, parsed.public_nonce, source)
            )
        return self._key.aggregation(Path(), self.message).open(commitments)

    def signature(self, partials: dict[int, bytes]) -> tuple[bytes, bytes]:
        """The signature that these PARTIALs add up to, and the key that it is for."""
        parts = {index: partial_in(partial).signature for index, partial in partials.items()}
        return self.aggregator(partials).signature(parts), self._key.public_key(Path())

    @property
    def _key(self) -> WalletKey:
        body = self.certificate.body
        return (
            self.world.parties[min(self.commits)]
            .wallets.signing(body.terms.wallet_id, body.hash)
            .key
        )


def commit_in(message: bytes) -> CommitPayload:
    """Whatever its scheme: the nonce is what stands behind k and lease_id."""
    payload = parse_envelope(message).payload
    return CommitPayload.from_bytes(payload, len(payload) - 2 - LEASE_ID_BYTES)


def partial_in(message: bytes) -> PartialPayload:
    return PartialPayload.from_bytes(parse_envelope(message).payload)


def open_leases(party: Party) -> int:
    """How many nonces are open at this holder."""
    return len(leases_of(party.desk))


def leases_of(desk: SigningDesk) -> set[bytes]:
    return set(desk._leases._open)
