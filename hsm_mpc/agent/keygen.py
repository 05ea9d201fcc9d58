"""Key generation at a holder: one session from PROPOSAL to the released signature (section 2.6).

    propose       PROPOSAL on disk, KEK_0 in the HSM, then HELLO
    take_hellos   the session is named by all HELLOs; msg1
    take_dealings the share is sealed, written, opened again; only then round 3

What follows (CERT, DONE) needs nothing but the store: agent/confirmation.py. A session that aborts
before its share is sealed destroys KEK_0; afterwards what it left stays until the operator's
`share discard` (step 2.6.8).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.agent.wallets import context_of
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import NO_EPOCH_BEFORE, EpochBody, EpochKind
from hsm_mpc.certificates.confirmation import Confirmation
from hsm_mpc.certificates.done import ack_message
from hsm_mpc.certificates.extension import Extension
from hsm_mpc.certificates.hello import Hello, check_hellos, session_id_of
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.wrapping_keys import aes_description, kek_digest, wrapping_key_id
from hsm_mpc.errors import BadEncoding, ProtocolAbort, Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.keys import Key
from hsm_mpc.ids import EpochHash
from hsm_mpc.protocols import dkg
from hsm_mpc.protocols.dkg_messages import agree
from hsm_mpc.protocols.rounds import abort, advance
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.sealing.sealed import seal
from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import Secret, move_bytes
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.proposals import SessionDocument
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import Address, Message
from hsm_mpc.wire.inbox import Expected
from hsm_mpc.wire.rounds import COMMITMENTS, CONFIRMATION, EVERYBODY, HELLO, MessageKind
from hsm_mpc.wrapping.pkcs11 import Pkcs11Key

_NO_EPOCH = EpochHash(bytes(32))
"""h_e in the header of every message of a key generation."""


@dataclass(frozen=True, slots=True)
class _Dealt:
    """Between msg1 and round 3."""

    keep: dkg.Keep1to2
    extension: Extension


class KeyGeneration:
    """One session of this holder. Its owner calls one method at a time."""

    def __init__(
        self, holder: ActingHolder, suite: Suite, proposal: Proposal, policy_file: bytes
    ) -> None:
        """Write PROPOSAL, make KEK_0, draw the one-time keys (step 2.6.2).

        Raises:
            BackendError: disk or HSM; KEK_0 is destroyed if it was made.
        """
        self._holder = holder
        self._suite = suite
        self.proposal = proposal
        self._policy_file = policy_file
        self._inbox = holder.inbox()
        self._audit("keygen-begun")
        self._ph = holder.store.proposals.begin(proposal.to_bytes())
        self._key = self._wrapping_key_made()
        self._kek_uri = keys.key_uri(holder.token, self._key.key_id)
        width = suite.group.scalar_length
        self._static, self._delivery = holder.arena.take(width), holder.arena.take(width)
        suite.group.random_nonzero(self._static, holder.entropy)
        suite.group.random_nonzero(self._delivery, holder.entropy)
        self._own_hello = Hello(
            os.urandom(32),
            suite.group.public_point(self._static),
            suite.group.public_point(self._delivery),
            kek_digest(self._kek_uri, aes_description(self._key.key_id, holder.token.serial)),
        )
        self._dealt: _Dealt | None = None
        self.sealed = False
        """Whether the share is durable: from then on nothing is destroyed by itself."""
        self.hello = self._signed(HELLO, self._ph, self._own_hello.to_bytes())
        holder.store.proposals.keep(self._ph, SessionDocument.HELLO, self.hello)

    def take_hellos(self, messages: Sequence[bytes]) -> bytes:
        """All n HELLOs name the session; msg1 (steps 2.6.3, 2.5.1 to 2.5.4).

        Raises:
            ProtocolAbort: naming who sent a HELLO that does not parse, or nobody.
            BadEncoding, InvalidSignature, BackendError: a message is not what is waited for.
        """
        kept = self._holder.store.proposals.kept(self._ph, SessionDocument.MSG1)
        if self._dealt is not None and kept is not None:
            self._received(HELLO, self._ph, messages)
            return kept
        hellos = self._parsed_hellos(messages)
        check_hellos(hellos, len(messages))
        session_id = session_id_of(self._ph, messages)
        extension = self._extension(hellos, session_id)
        setup = agree(
            self._suite,
            self.proposal.sizes.t,
            [hello.static_key for hello in hellos],
            self._holder.me,
            self._own_hello.static_key,
            session_id,
            extension.to_bytes(),
        )
        keep, outbox = dkg.start(setup, self._static, self._draw)
        self._dealt = _Dealt(keep, extension)
        address = Address(
            self.proposal.terms.wallet_id, session_id, _NO_EPOCH, self._holder.me, EVERYBODY
        )
        message = self._holder.channel_message(COMMITMENTS, address, outbox.to_all).to_bytes()
        self._holder.store.proposals.keep(self._ph, SessionDocument.MSG1, message)
        return message

    def take_dealings(self, messages: Sequence[bytes]) -> bytes:
        """All n msg1: the share is checked, sealed and opened again; round 3 (2.5.5 to 2.6.7).

        Raises:
            ProtocolAbort: naming every holder whose dealing is bad.
            BadEncoding, InvalidSignature, BackendError: a message is not what is waited for.
        """
        if self._dealt is None:
            raise BadEncoding("msg1 before the hellos of its session")
        extension = self._dealt.extension
        received = self._received(COMMITMENTS, extension.session_id, messages)
        kept = self._holder.store.proposals.kept(self._ph, SessionDocument.ROUND3)
        if kept is not None:
            return kept
        payloads = {message.address.sender: message.payload for message in received}
        keep = advance(dkg.exchange, self._dealt.keep, self._static, payloads)
        try:
            body = self._body(keep)
            record = self._sealed(body, keep)
        except BaseException:
            abort(keep)
            raise
        _, outbox = advance(dkg.confirm, keep, self._static)
        ack = self._holder.identity.sign(
            Tag.ACK,
            ack_message(body.hash, self._holder.me, self._own_hello.kek_digest, record.blob_digest),
        )
        message = self._signed(
            CONFIRMATION,
            extension.session_id,
            Confirmation(outbox.to_all, record.blob_digest, ack).to_bytes(),
        )
        self._holder.store.proposals.keep(self._ph, SessionDocument.ROUND3, message)
        return message

    def end(self) -> None:
        """Wipe the one-time keys: the certificate is there (2.6.8), or the session is over."""
        if self._dealt is not None:
            abort(self._dealt.keep)
        self._static.release()
        self._delivery.release()

    def abandon(self) -> None:
        """The session is dead before its share was sealed: no key of it stays (step 2.6.2)."""
        self.end()
        if not self.sealed:
            keys.destroy(self._holder.token, self._key)
            self._holder.store.proposals.end(self._ph)

    def _wrapping_key_made(self) -> Key:
        """KEK_0; its CKA_ID follows from ph, so a crash leaves no key that nobody can name."""
        wallet_id = self.proposal.terms.wallet_id
        key_id = wrapping_key_id(wallet_id, self._holder.me, self._ph, Attempt.NONE, 0)
        return keys.generate_wrapping_key(
            self._holder.token, key_id, keys.wrapping_label(wallet_id)
        )

    def _draw(self, into: Secret) -> None:
        self._suite.group.random_nonzero(into, self._holder.entropy)

    def _signed(self, kind: MessageKind, session_id: bytes, payload: bytes) -> bytes:
        wallet_id = self.proposal.terms.wallet_id
        return self._holder.identity_message(kind, wallet_id, session_id, payload)

    def _received(
        self, kind: MessageKind, session_id: bytes, messages: Sequence[bytes]
    ) -> list[Message]:
        """One valid message of each holder, in roster order; differing repeats are equivocation."""
        n, now = self.proposal.sizes.n, self._holder.clock()
        if len(messages) != n:
            raise BadEncoding(f"{len(messages)} messages {kind.name} of {n} holders")
        received = []
        for index, source in enumerate(messages, 1):
            expected = Expected(
                kind, self.proposal.terms.wallet_id, session_id, _NO_EPOCH, (index,)
            )
            message = self._inbox.receive(source, expected, now)
            self._inbox.remember(message)
            received.append(message)
        return received

    def _parsed_hellos(self, messages: Sequence[bytes]) -> list[Hello]:
        hellos, culprits = [], []
        for message in self._received(HELLO, self._ph, messages):
            try:
                hellos.append(Hello.from_bytes(message.payload, self._suite.group))
            except BadEncoding:
                culprits.append(message.address.sender)
        if culprits:
            raise ProtocolAbort("a signed hello does not parse", culprits)
        if hellos[self._holder.me - 1] != self._own_hello:
            raise ProtocolAbort("the own hello came back altered")
        return hellos

    def _extension(self, hellos: Sequence[Hello], session_id: bytes) -> Extension:
        return Extension(
            terms=self.proposal.terms,
            clients_hash=self.proposal.clients.hash,
            delivery_keys=tuple(hello.delivery_key for hello in hellos),
            kek_digests=tuple(hello.kek_digest for hello in hellos),
            session_id=session_id,
        )

    def _body(self, keep: dkg.Keep2to3) -> EpochBody:
        return EpochBody(
            kind=EpochKind.KEY_GENERATION,
            terms=self.proposal.terms,
            epoch=0,
            prev_hash=NO_EPOCH_BEFORE,
            commitments=keep.commitments,
            transcript_hash=hashlib.sha256(keep.transcript).digest(),
        )

    def _sealed(self, body: EpochBody, keep: dkg.Keep2to3) -> EpochRecord:
        """Seal x ‖ v, write it, open it again, compare; PREPARED is durable (step 2.6.6)."""
        holder, width = self._holder, self._suite.group.scalar_length
        epochs = holder.epochs(body.terms.wallet_id)
        kek = Pkcs11Key(holder.token, self._key)
        with holder.arena.open(), holder.arena.scope() as take:
            content, again, share = take(2 * width), take(2 * width), take(width)
            with content.open() as at, keep.share.open() as x, self._delivery.open() as v:
                move_bytes(at, x, width)
                move_bytes(at + width, v, width)
            blob = seal(content, context_of(holder, body), [kek], holder.entropy, holder.clock())
            for document, written in (
                (EpochDocument.BODY, body.to_bytes()),
                (EpochDocument.POLICY, self._policy_file),
                (EpochDocument.CLIENTS, self.proposal.clients.to_bytes()),
            ):
                epochs.keep(body.hash, document, written)
            self._audit("keygen-sealed", epoch_hash=body.hash.hex())
            record = epochs.seal(self._record(body), blob)
            self.sealed = True
            OpenableShare.load(holder.token, epochs, context_of(holder, body)).open_into(again)
            with content.open() as one, again.open() as other, share.open() as x:
                if not sodium.equal(one, other, 2 * width):
                    raise Tampered("the sealed share opens to something else")
                move_bytes(x, other, width)
            if self._suite.group.public_point(share) != keep.public_shares[holder.me - 1]:
                raise Tampered("the sealed share is not that of this index")
        return record

    def _audit(self, event: str, **fields: str) -> None:
        terms = self.proposal.terms
        shown = {"wallet_id": terms.wallet_id.hex(), "name": terms.name, **fields}
        self._holder.audit(event, shown)

    def _record(self, body: EpochBody) -> EpochRecord:
        return EpochRecord(
            state=EpochState.PREPARED,
            epoch_hash=body.hash,
            blob_digest=NOT_SEALED,
            kek_uri=self._kek_uri,
            extra_uris=(),
            key_generation=0,
            clients_version=self.proposal.clients.version,
            clients_hash=self.proposal.clients.hash,
            pairs=(),
        )
