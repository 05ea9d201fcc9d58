"""Key generation at a holder: one session from PROPOSAL to the released signature (section 2.6).

    begin         PROPOSAL on disk, KEK_0 in the HSM, then HELLO
    take_hellos   the session is named by all HELLOs; msg1
    take_dealings the share is sealed, written, opened again; only then round 3

What follows (CERT, DONE) needs nothing but the store: agent/confirmation.py. Who owns a session
(agent/ceremonies.py) calls one method at a time, and ends it when a method leaves it `doomed`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from hsm_mpc.agent.acting import NO_EPOCH, ActingHolder
from hsm_mpc.agent.first_share import first_register, seal_first_share
from hsm_mpc.agent.keygen_files import KeygenFiles
from hsm_mpc.agent.one_time_keys import Dealt, OneTimeKeys
from hsm_mpc.certificates.body import NO_EPOCH_BEFORE, EpochBody, EpochKind
from hsm_mpc.certificates.confirmation import Confirmation
from hsm_mpc.certificates.done import ack_message
from hsm_mpc.certificates.extension import Extension
from hsm_mpc.certificates.hello import Hello, check_hellos, session_id_of
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.terms import PROTOCOL_VERSION
from hsm_mpc.errors import BadEncoding, ProtocolAbort, Refused
from hsm_mpc.protocols import dkg
from hsm_mpc.protocols.dkg_messages import Setup, agree
from hsm_mpc.protocols.rounds import abort, advance, kept
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret
from hsm_mpc.store.proposals import SessionDocument
from hsm_mpc.store.record import EpochRecord
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import Address, Message, parse_envelope
from hsm_mpc.wire.inbox import Expected, decoded
from hsm_mpc.wire.rounds import COMMITMENTS, CONFIRMATION, EVERYBODY, HELLO, MessageKind


class KeyGeneration:
    """One session of this holder. Make it with `begin`, or with `resumed` to repeat its answers."""

    def __init__(
        self,
        holder: ActingHolder,
        suite: Suite,
        files: KeygenFiles,
        secrets: OneTimeKeys | None,
        hello: bytes,
    ) -> None:
        self._holder = files.holder
        self._suite = suite
        self.files: Final = files
        self.secrets = secrets
        """None: round 3 was released, or a restart has lost them."""
        self.hello: Final = hello
        """The own HELLO message."""
        self.doomed = False
        """A round did not come to its end, and cannot be done again."""
        self.sealed = secrets is None
        """The share is durable and was opened again: nothing of it goes by itself any more."""
        self._session_id: bytes | None = None  # of what is repeated
        self._inbox = holder.inbox()

    @classmethod
    def begin(
        cls, holder: ActingHolder, suite: Suite, proposal: Proposal, policy_file: bytes
    ) -> KeyGeneration:
        """Write PROPOSAL, make KEK_0, draw the one-time keys, sign HELLO (step 2.6.2).

        Raises:
            Refused, BackendError: disk or HSM. What was made by then is found by its PROPOSAL.
        """
        files = KeygenFiles(holder, proposal)
        holder = files.holder
        files.audit("keygen-begun")
        files.begin(policy_file)
        key = files.make_key()
        with kept(holder.arena) as take:
            secrets = OneTimeKeys.drawn(holder, suite.group, key, take)
            payload = secrets.own.to_bytes()
            hello = holder.identity_message(HELLO, files.wallet_id, files.ph, payload)
            files.keep(SessionDocument.HELLO, hello)
        return cls(holder, suite, files, secrets, hello)

    @classmethod
    def resumed(cls, holder: ActingHolder, suite: Suite, files: KeygenFiles) -> KeyGeneration:
        """After a restart: what was sent is sent again, and nothing new (step 1.7.4)."""
        session = cls(holder, suite, files, None, files.kept(SessionDocument.HELLO) or b"")
        hellos = files.answered(SessionDocument.HELLOS)
        for source in (*hellos, *files.answered(SessionDocument.DEALINGS)):
            session._inbox.remember(parse_envelope(source))
        if hellos:
            session._session_id = session_id_of(files.ph, hellos)
        return session

    def take_hellos(self, messages: Sequence[bytes]) -> bytes:
        """All n HELLOs name the session; msg1 (steps 2.6.3, 2.5.1 to 2.5.4).

        Raises:
            ProtocolAbort: naming who sent a HELLO that does not parse, or nobody.
            Refused: `session-over`.
            BadEncoding, InvalidSignature, BackendError: a message is not what is waited for.
        """
        received = self._receive(HELLO, self.files.ph, messages)
        answer = self.files.kept(SessionDocument.MSG1)
        if answer is not None:
            return answer
        secrets = self._secrets_left()
        hellos = self._hellos_in(received, messages)
        session_id = session_id_of(self.files.ph, messages)
        extension = self._extension(hellos, session_id)
        setup = self._setup(hellos, secrets.own.static_key, extension)
        self.doomed = True
        keep, outbox = dkg.start(setup, secrets.static, self._draw)
        secrets.dealt = Dealt(keep, extension)
        address = Address(self.files.wallet_id, session_id, NO_EPOCH, self._holder.me, EVERYBODY)
        own = self._holder.channel_message(COMMITMENTS, address, outbox.to_all).to_bytes()
        self.files.keep_answered(SessionDocument.HELLOS, messages, SessionDocument.MSG1, own)
        self.doomed = False
        return own

    def take_dealings(self, messages: Sequence[bytes], channels: Sequence[bytes]) -> bytes:
        """All n msg1: the share is checked, sealed and opened again; round 3 (2.5.5 to 2.6.7).

        Args:
            channels: the CHANNEL messages of all: the msg1 verify under them.

        Raises:
            ProtocolAbort: naming every holder whose dealing is bad.
            Refused: `session-over`, or `protocol-version`.
            BadEncoding, InvalidSignature, BackendError: a message is not what is waited for.
        """
        for index, channel in enumerate(channels, 1):
            self._holder.learn_channel(index, channel)
        session_id = self._session_id or self._dealt_left()[1].extension.session_id
        received = self._receive(COMMITMENTS, session_id, messages)
        answer = self.files.kept(SessionDocument.ROUND3)
        if answer is not None:
            return answer
        secrets, dealt = self._dealt_left()
        self._check_versions()
        payloads = {message.address.sender: message.payload for message in received}
        own = self._round3(secrets, dealt, payloads)
        self.files.keep_answered(SessionDocument.DEALINGS, messages, SessionDocument.ROUND3, own)
        self.doomed = False
        self.end()
        return own

    def accusable(self) -> tuple[Setup, Secret] | None:
        """What was agreed, and d_i, as long as it may be given away (step 2.6.9)."""
        if self.secrets is None or self.secrets.dealt is None or self.sealed:
            return None
        return self.secrets.dealt.keep.setup, self.secrets.static

    def received(self) -> tuple[bytes, ...]:
        """All messages of the session so far: evidence, if somebody cheated."""
        return tuple(message.to_bytes() for message in self._inbox.messages())

    def messages_of(self, kind: MessageKind) -> dict[int, Message]:
        """The messages of one round, by holder."""
        messages = (each for each in self._inbox.messages() if each.kind is kind)
        return {message.address.sender: message for message in messages}

    def end(self) -> None:
        """Wipe the one-time keys: they were used for the last time, or the session is over."""
        if self.secrets is not None:
            self.secrets.wipe()
            self.secrets = None

    def _round3(self, secrets: OneTimeKeys, dealt: Dealt, payloads: dict[int, bytes]) -> bytes:
        """The share is durable, its register written; only then are the signatures released."""
        self.doomed = True
        keep = advance(dkg.exchange, dealt.keep, secrets.static, payloads)
        try:
            body = self._body(keep)
            record = self._sealed(body, secrets, keep.share)
            self._holder.registers.write(self.files.wallet_id, first_register(body))
        except BaseException:
            abort(keep)
            raise
        _, outbox = advance(dkg.confirm, keep, secrets.static)  # step 2.5.11
        ack = self._holder.identity.sign(
            Tag.ACK,
            ack_message(body.hash, self._holder.me, secrets.own.kek_digest, record.blob_digest),
        )
        payload = Confirmation(outbox.to_all, record.blob_digest, ack).to_bytes()
        session_id = dealt.extension.session_id
        return self._holder.identity_message(
            CONFIRMATION, self.files.wallet_id, session_id, payload
        )

    def _sealed(self, body: EpochBody, secrets: OneTimeKeys, share: Secret) -> EpochRecord:
        record = seal_first_share(
            self._holder,
            self.files,
            secrets.key,
            body,
            share,
            secrets.delivery,
            secrets.own.delivery_key,
        )
        self.sealed = True
        return record

    def _draw(self, into: Secret) -> None:
        self._suite.group.random_nonzero(into, self._holder.entropy)

    def _secrets_left(self) -> OneTimeKeys:
        if self.secrets is None:
            raise Refused("session-over", "the one-time keys of that session are gone")
        return self.secrets

    def _dealt_left(self) -> tuple[OneTimeKeys, Dealt]:
        secrets = self._secrets_left()
        if secrets.dealt is None:
            raise BadEncoding("msg1 before the hellos of its session")
        return secrets, secrets.dealt

    def _receive(
        self, kind: MessageKind, session_id: bytes, messages: Sequence[bytes]
    ) -> list[Message]:
        """One valid message of each holder, in roster order; differing repeats are equivocation."""
        n, now = self.files.proposal.sizes.n, self._holder.clock()
        if len(messages) != n:
            raise BadEncoding(f"{len(messages)} messages {kind.name} of {n} holders")
        known = {message.to_bytes(): message for message in self._inbox.messages()}
        received = []
        for index, source in enumerate(messages, 1):
            expected = Expected(kind, self.files.wallet_id, session_id, NO_EPOCH, (index,))
            message = known.get(source)  # verified before; its channel may be gone since
            if message is None or message.kind is not kind or message.address.sender != index:
                message = self._inbox.receive(source, expected, now)
            received.append(message)
        for message in received:
            self._inbox.remember(message)
        return received

    def _hellos_in(self, received: Sequence[Message], messages: Sequence[bytes]) -> list[Hello]:
        """Step 2.6.3."""
        culprits: list[int] = []
        hellos, group = [], self._suite.group
        for message in received:
            try:
                hellos.append(decoded(message, lambda payload: Hello.from_bytes(payload, group)))
            except ProtocolAbort as malformed:
                culprits += malformed.culprits
        if culprits:
            raise ProtocolAbort("a signed hello does not parse", culprits)
        if messages[self._holder.me - 1] != self.hello:
            raise ProtocolAbort("the own hello came back altered")
        check_hellos(hellos, len(messages))
        return hellos

    def _extension(self, hellos: Sequence[Hello], session_id: bytes) -> Extension:
        proposal = self.files.proposal
        return Extension(
            terms=proposal.terms,
            clients_hash=proposal.clients.hash,
            delivery_keys=tuple(hello.delivery_key for hello in hellos),
            kek_digests=tuple(hello.kek_digest for hello in hellos),
            session_id=session_id,
        )

    def _setup(self, hellos: Sequence[Hello], own_key: bytes, extension: Extension) -> Setup:
        return agree(
            self._suite,
            self.files.proposal.sizes.t,
            [hello.static_key for hello in hellos],
            self._holder.me,
            own_key,
            extension.session_id,
            extension.to_bytes(),
        )

    def _check_versions(self) -> None:
        """Every holder speaks the protocol version of PROPOSAL (step 1.7.10)."""
        for index in self._holder.everybody():
            for channel in self._holder.keys.channels(index)[:1]:
                channel.check_version(PROTOCOL_VERSION)

    def _body(self, keep: dkg.Keep2to3) -> EpochBody:
        return EpochBody(
            kind=EpochKind.KEY_GENERATION,
            terms=self.files.proposal.terms,
            epoch=0,
            prev_hash=NO_EPOCH_BEFORE,
            commitments=keep.commitments,
            transcript_hash=hashlib.sha256(keep.transcript).digest(),
        )
