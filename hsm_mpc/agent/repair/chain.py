"""What a holder that has lost its store learns of a wallet, and believes: what proves itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.errors import BadInput, InvalidSignature, ProtocolAbort, Tampered
from hsm_mpc.ids import EpochHash
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.propose import done_in
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.dones import check_all_done
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.wallet_calls import Chain, ShownSuccession


@dataclass(frozen=True, slots=True)
class KnownWallet:
    """A wallet from its key generation to the epoch that lives, every signature verified."""

    chain: Chain
    bodies: tuple[EpochBody, ...]
    """Of every epoch, the first one first."""
    made_in: Attempt
    """The attempt that made the newest epoch; of epoch 0 none."""
    policy_file: bytes
    clients: ClientList
    own_messages: Mapping[EpochHash, Mapping[EpochDocument, bytes]]
    """What this holder has said of epochs that are gone, as far as others have kept it."""

    @property
    def body(self) -> EpochBody:
        """Of the epoch that lives."""
        return self.bodies[-1]

    def keep(self, epochs: Epochs) -> None:
        """Write all that is public of it; what is there already stays."""
        for h, document, content in self._documents():
            if epochs.kept(h, document) is None:
                epochs.keep(h, document, content)

    def _documents(self) -> Iterator[tuple[EpochHash, EpochDocument, bytes]]:
        certificates = (self.chain.certificate, *(s.certificate for s in self.chain.successions))
        for body, certificate in zip(self.bodies, certificates, strict=True):
            yield body.hash, EpochDocument.BODY, body.to_bytes()
            yield body.hash, EpochDocument.CERTIFICATE, certificate
        for body, succession in zip(self.bodies, self.chain.successions, strict=False):
            yield body.hash, EpochDocument.RETIREMENT, succession.retirement
        for h, messages in self.own_messages.items():
            for document, message in messages.items():
                yield h, document, message
        yield self.body.hash, EpochDocument.POLICY, self.policy_file
        yield self.body.hash, EpochDocument.CLIENTS, self.clients.to_bytes()


def known_wallet(
    holder: ActingHolder, encoded: bytes, policy_file: bytes, clients: bytes
) -> KnownWallet:
    """A wallet as a coordinator tells of it.

    Args:
        encoded: a `Chain`, whose newest epoch has taken the place of the one before for good.
        policy_file: of that epoch.
        clients: its client list.

    Raises:
        ProtocolAbort: anything does not hold. No holder is to blame.
    """
    try:
        return _verified(holder, Chain.from_bytes(encoded), policy_file, clients)
    except (BadInput, InvalidSignature, ProtocolAbort, Tampered) as broken:
        raise ProtocolAbort(f"what is told of that wallet does not hold: {broken}") from broken


def _verified(
    holder: ActingHolder, chain: Chain, policy_file: bytes, encoded_clients: bytes
) -> KnownWallet:
    """Raises: HsmMpcError: anything does not hold."""
    certificate = Certificate.from_bytes(chain.certificate)
    certificate.verify(holder.roster)
    check_all_done(holder.keys, certificate, chain.dones, holder.clock())
    bodies, made_in = [certificate.body], Attempt.NONE
    said = dict[EpochHash, dict[EpochDocument, bytes]]()
    dones: Sequence[bytes] = chain.dones
    for succession in chain.successions:
        said[bodies[-1].hash] = _said_by(holder, bodies[-1], dones, succession.destroyed)
        dones = succession.dones
        body, made_in = _succeeding(holder, bodies[-1], succession)
        bodies.append(body)
    clients = ClientList.from_bytes(encoded_clients)
    if clients.hash != certificate.extension.clients_hash:
        raise Tampered("the client list is not the certified one")
    if hashlib.sha256(policy_file).digest() != bodies[-1].terms.policy_hash:
        raise Tampered("the policy is not the certified one")
    return KnownWallet(chain, tuple(bodies), made_in, policy_file, clients, said)


def _succeeding(
    holder: ActingHolder, before: EpochBody, succession: ShownSuccession
) -> tuple[EpochBody, Attempt]:
    certificate = SuccessorCertificate.from_bytes(succession.certificate)
    made_in = certificate.verify(before, holder.keys).content.attempt
    retired = Retirement.from_bytes(succession.retirement).check(before, holder.keys)
    if retired.successor != certificate.body.hash:
        raise Tampered("an epoch was retired for another one")
    return certificate.body, made_in


def _said_by(
    holder: ActingHolder, body: EpochBody, dones: Sequence[bytes], destroyed: Sequence[bytes]
) -> dict[EpochDocument, bytes]:
    """The own DONE and DESTROYED of an epoch, those that are there."""
    said = {}
    for message in dones:
        is_own = parse_envelope(message).address.sender == holder.me
        if is_own and done_in(message, holder.me, body, holder.keys).epoch_hash == body.hash:
            said[EpochDocument.DONE] = message
    for message in destroyed:
        if parse_envelope(message).address.sender == holder.me:
            destroyed_in(message, body, holder.keys)
            said[EpochDocument.DESTROYED] = message
    return said
