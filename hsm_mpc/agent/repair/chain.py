"""What a holder that has lost its store learns of a wallet, and believes: what proves itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody, EpochKind
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.errors import BadInput, InvalidSignature, ProtocolAbort, Refused, Tampered
from hsm_mpc.ids import EpochHash, HolderIndex
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.dones import done_in
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.ordering import replaced_in
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.stages import carried_in
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.dones import check_all_done
from hsm_mpc.wire.envelope import bundle, parse_envelope
from hsm_mpc.wire.rounds import FIRST_NEW_HOLDER
from hsm_mpc.wire.wallet_calls import Chain, ShownSuccession


@dataclass(frozen=True, slots=True)
class KnownWallet:
    """A wallet from its key generation to the epoch that lives, or to one that may take its place;
    every signature verified.
    """

    chain: Chain
    bodies: tuple[EpochBody, ...]
    """Of every epoch, the first one first."""
    made_in: Attempt
    """The attempt that made the newest epoch; of epoch 0 none."""
    policy_file: bytes
    clients: ClientList
    own_messages: Mapping[EpochHash, Mapping[EpochDocument, bytes]]
    """What this holder has said of epochs that are gone, as far as others have kept it."""
    lineage: Lineage
    """What the certificates of this chain have carried; all else that is told is pending."""

    @property
    def body(self) -> EpochBody:
        """Of the newest epoch."""
        return self.bodies[-1]

    @property
    def ended(self) -> Mapping[EpochHash, EpochHash]:
        """Of each epoch that a RETIRE has ended, the one that took its place."""
        pairs = zip(self.bodies, self.bodies[1:], self.chain.successions, strict=False)
        return {before.hash: after.hash for before, after, shown in pairs if shown.retirement}

    def lineage_over(self, known: Lineage) -> Lineage:
        """What is known of the wallet's rosters, with what this chain proves and tells of them."""
        first = self.lineage.stages[0]
        if known.stages[0].book.roster != first.book.roster:  # then nothing is known
            known = Lineage.of((), (), first.terms, first.book)
        for body, succession in zip(self.bodies, self.chain.successions, strict=False):
            certificate = SuccessorCertificate.from_bytes(succession.certificate)
            if _counts(certificate, succession):
                known = known.after(body.terms.roster_hash, carried_in(certificate))
        return known.merged_with(self.lineage.amendments)

    def keep(self, holder: ActingHolder) -> None:
        """Write the documents of all epochs; what is there already stays."""
        epochs = holder.epochs(self.body.terms.wallet_id)
        for h, document, content in self._documents():
            if epochs.kept(h, document) is None:
                epochs.keep(h, document, content)

    def _documents(self) -> Iterator[tuple[EpochHash, EpochDocument, bytes]]:
        certificates = (self.chain.certificate, *(s.certificate for s in self.chain.successions))
        for body, certificate in zip(self.bodies, certificates, strict=True):
            yield body.hash, EpochDocument.BODY, body.to_bytes()
            yield body.hash, EpochDocument.CERTIFICATE, certificate
        yield self.bodies[0].hash, EpochDocument.DONES, bundle(self.chain.dones)
        for body, succession in zip(self.bodies, self.chain.successions, strict=False):
            if succession.retirement:
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
        encoded: a `Chain`; its newest epoch need not have taken the place of the one before.
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
    told = Lineage.from_bytes(chain.lineage, certificate.body.terms, holder.keys)
    first = told.stages[0].book
    certificate.verify(first.roster)
    check_all_done(first, certificate, chain.dones, holder.clock())
    bodies, lineage, made_in = _succeeding(certificate.body, chain, told)
    known = holder.lineage_of(certificate.body)  # whoever tells may leave out who was replaced
    said = dict[EpochHash, dict[EpochDocument, bytes]]()
    dones: Sequence[bytes] = chain.dones
    for before, succession in zip(bodies, chain.successions, strict=False):
        made = SuccessorCertificate.from_bytes(succession.certificate)
        keys = lineage.voters(before.terms.roster_hash, made)
        if succession.retirement or succession is not chain.successions[-1]:
            lost = replaced_in(lineage, before.hash) | replaced_in(known, before.hash)
            Retirement.from_bytes(succession.retirement).check(before, keys, made, lost)
        since = lineage.since(before.terms.roster_hash)
        me = _seat(holder, since)
        if me is not None:
            said[before.hash] = {
                **_own_done(me, before, dones, since),
                **_own_destroyed(me, before, succession.destroyed, keys),
            }
        dones = succession.dones
    clients = ClientList.from_bytes(encoded_clients)
    if clients.hash != certificate.extension.clients_hash:
        raise Tampered("the client list is not the certified one")
    if hashlib.sha256(policy_file).digest() != bodies[-1].terms.policy_hash:
        raise Tampered("the policy is not the certified one")
    return KnownWallet(chain, tuple(bodies), made_in, policy_file, clients, said, lineage)


def _succeeding(
    first: EpochBody, chain: Chain, told: Lineage
) -> tuple[list[EpochBody], Lineage, Attempt]:
    """Every epoch, the rosters that they name, and the attempt that made the newest one. What a
    succession has carried, its certificate says, and nobody else.
    """
    bodies, made_in = [first], Attempt.NONE
    lineage = Lineage.of((), (), first.terms, told.stages[0].book)
    for succession in chain.successions:
        before = bodies[-1]
        certificate = SuccessorCertificate.from_bytes(succession.certificate)
        proposed = certificate.verify(before, lineage.book(before.terms.roster_hash))
        if _counts(certificate, succession):
            lineage = lineage.after(before.terms.roster_hash, carried_in(certificate))
        bodies.append(certificate.body)
        made_in = proposed.content.attempt
    return bodies, lineage.merged_with(told.amendments), made_in


def _counts(certificate: SuccessorCertificate, succession: ShownSuccession) -> bool:
    """Whether the wallet has this one's roster: of a resharing not before it is decided (6.8.4)."""
    return certificate.shared_anew is None or bool(succession.retirement)


def _seat(holder: ActingHolder, keys: KeyBook) -> HolderIndex | None:
    """This holder's place among those of an epoch; None: it was none of them."""
    try:
        return holder.seated(keys.roster).me
    except Refused:
        return None


def _own_done(
    me: HolderIndex, body: EpochBody, dones: Sequence[bytes], keys: KeyBook
) -> dict[EpochDocument, bytes]:
    """The own DONE of an epoch, if it is there: of a resharing not a vote of who was before."""
    sender = FIRST_NEW_HOLDER + me if body.kind is EpochKind.RESHARE else me
    for message in dones:
        is_own = parse_envelope(message).address.sender == sender
        if is_own and done_in(message, me, body, keys).epoch_hash == body.hash:
            return {EpochDocument.DONE: message}
    return {}


def _own_destroyed(
    me: HolderIndex, body: EpochBody, destroyed: Sequence[bytes], keys: KeyBook
) -> dict[EpochDocument, bytes]:
    """The own DESTROYED of an epoch, if it is there."""
    for message in destroyed:
        if parse_envelope(message).address.sender == me:
            destroyed_in(message, body, keys)
            return {EpochDocument.DESTROYED: message}
    return {}
