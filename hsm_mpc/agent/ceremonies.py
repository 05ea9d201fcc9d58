"""The key generations under way at this holder, and what becomes of those that end early.

A session that aborts or runs out of time before its share is sealed leaves nothing but the refusal
of its nonce: KEK_0 is destroyed (step 2.6.2). Afterwards what it left stays until its certificate,
or until the operator's `share discard` (step 2.6.8).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from hsm_mpc.agent import confirmation, leftovers
from hsm_mpc.agent.acting import NO_EPOCH, NO_SESSION, ActingHolder
from hsm_mpc.agent.admission import admit
from hsm_mpc.agent.blame import accusations, judge
from hsm_mpc.agent.consents import Consents, takes_part
from hsm_mpc.agent.evidence import keep_evidence
from hsm_mpc.agent.keygen import KeyGeneration
from hsm_mpc.agent.keygen_files import KeygenFiles
from hsm_mpc.agent.reservations import ROUND_SECONDS, Reservations, Reserved
from hsm_mpc.agent.wallets import HeldWallets
from hsm_mpc.audit import Json
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.terms import PROTOCOL_VERSION
from hsm_mpc.encoding import u8
from hsm_mpc.errors import BadEncoding, HsmMpcError, ProtocolAbort, Refused
from hsm_mpc.ids import Scheme, WalletId
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.inbox import Equivocation, Expected
from hsm_mpc.wire.rounds import PROPOSAL

MOST_UNDER_WAY: Final = 8
"""Key generations at once: each holds secrets in protected memory."""
_BLAMES_KEPT: Final = 64


class Ceremonies:
    """All key generations of one holder. Safe to use from threads.

    `ticks` is seconds of a clock that only runs forward.
    """

    def __init__(
        self,
        holder: ActingHolder,
        wallets: HeldWallets,
        suites: Mapping[Scheme, Suite],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._holder = holder
        self._wallets = wallets
        self._suites = suites
        self._ticks = ticks
        self._consents = Consents(holder)
        self._reserved = Reservations()
        self._blames: dict[WalletId, tuple[bytes, ...]] = {}

    def recover(self) -> None:
        """At start: the one-time keys of unfinished sessions are gone, so their KEK_0 goes too.

        Raises:
            BackendError, Tampered: disk or HSM; the holder does not start.
        """
        self._consents.tidy()  # before it is forgotten which nonces have ended
        for files in leftovers.settle(self._holder, self._wallets):
            self._reserved.restore(files)

    @property
    def consents(self) -> Consents:
        """What its operator was asked to agree to."""
        return self._consents

    def consider(self, source: bytes, policy_file: bytes) -> bool:
        """PROPOSAL → whether this holder would take part now; False: its operator is asked.

        Raises: as `propose`.
        """
        proposal = self._received_proposal(source)
        self.expire()
        with self._reserved.alone_with(proposal.terms.wallet_id):
            if self._under_way(proposal) is not None:
                return True
            return takes_part(lambda: admit(self._holder, self._consents, proposal, policy_file))

    def propose(self, source: bytes, policy_file: bytes) -> bytes:
        """PROPOSAL → HELLO. A repeat is answered with the same bytes.

        Raises:
            Refused, NameTaken: this holder does not take part; final for this proposal.
            BadEncoding, InvalidSignature: it is no proposal of a coordinator that is known here.
        """
        proposal = self._received_proposal(source)
        wallet_id = proposal.terms.wallet_id
        self.expire()
        with self._reserved.alone_with(wallet_id):
            session = self._under_way(proposal)
            if session is not None:
                return session.hello
            with self._consents.serving(Plan.of(proposal)):
                admit(self._holder, self._consents, proposal, policy_file)
                files = KeygenFiles(self._holder, proposal)
                reserved = self._reserved.add(files, self._wallets.has_name, MOST_UNDER_WAY)
                return self._begun(reserved, policy_file).hello

    def take_hellos(self, sources: Sequence[bytes]) -> bytes:
        """n HELLOs → msg1."""
        with self._session(sources) as session:
            return session.take_hellos(sources)

    def take_dealings(self, sources: Sequence[bytes], channels: Sequence[bytes]) -> bytes:
        """n msg1, with the channels of all → round 3."""
        with self._session(sources) as session:
            return session.take_dealings(sources, channels)

    def certify(self, source: bytes) -> bytes:
        """CERT → DONE; nothing of the session is needed any more."""
        wallet_id = parse_envelope(source).address.wallet_id
        with self._reserved.alone_with(wallet_id):
            done = confirmation.certify(self._holder, source)
            reserved = self._reserved.find(wallet_id)
            if reserved is not None:
                reserved.files.forget()
                self._reserved.drop(wallet_id)
        return done

    def activate(self, sources: Sequence[bytes]) -> None:
        """n DONEs: the wallet may sign."""
        if not sources:
            raise BadEncoding("no done at all")
        wallet_id = parse_envelope(sources[0]).address.wallet_id
        with self._reserved.alone_with(wallet_id):
            confirmation.activate(self._holder, wallet_id, sources)

    def discard(self, wallet_id: WalletId) -> None:
        """Remove what an unfinished creation left: state prepared only (step 2.6.8).

        Raises:
            Refused: `not-prepared`, or `unknown-wallet`.
            BackendError: HSM or disk; what is left is removed by the next try, or at start.
        """
        with self._reserved.alone_with(wallet_id):
            if not self._wallets.of(wallet_id):
                raise Refused("unknown-wallet", "nothing of that wallet is in this store")
            leftovers.require_prepared(self._holder, wallet_id)
            reserved = self._reserved.find(wallet_id)
            if reserved is not None and reserved.live is not None:
                reserved.live.end()
            self._holder.audit("keygen-discarded", {"wallet_id": wallet_id.hex()})
            leftovers.discard(self._holder, wallet_id)
            if reserved is not None:
                reserved.files.bury()
                self._reserved.drop(wallet_id)

    @contextmanager
    def alone_with(self, wallet_id: WalletId) -> Iterator[None]:
        """Nothing of this wallet's making goes on while the body runs."""
        with self._reserved.alone_with(wallet_id):
            yield

    def expire(self) -> None:
        """End the sessions that ran out of time, and what an abort could not end (step 2.6.2)."""
        for reserved in self._reserved.all():
            if self._is_over(reserved):
                with self._reserved.alone_with(reserved.files.wallet_id, wait=False) as alone:
                    if alone and self._is_over(reserved):
                        self._end(reserved, "out of time")

    def accusations(self, wallet_id: WalletId) -> tuple[bytes, ...]:
        """The BLAME messages that this holder made in a session that died (step 2.6.9)."""
        return self._blames.get(wallet_id, ())

    def judge(self, source: bytes, proposal: bytes, hellos: Sequence[bytes]) -> int:
        """Who lied, by a BLAME message and the n HELLOs of its session (step 2.6.9).

        Raises:
            BadEncoding, BadInput, InvalidSignature: these are not messages of one session.
        """
        holder = self._holder
        plan = Proposal.from_bytes(proposal)
        return judge(source, plan, hellos, plan.roster, self._suite_of(plan), holder.arena)

    def _suite_of(self, proposal: Proposal) -> Suite:
        return self._suites[proposal.terms.scheme]

    def _received_proposal(self, source: bytes) -> Proposal:
        wallet_id = parse_envelope(source).address.wallet_id
        expected = Expected(PROPOSAL, wallet_id, NO_SESSION, NO_EPOCH, None)
        message = self._holder.inbox().receive(source, expected, self._holder.clock())
        if message.payload[:1] != u8(PROTOCOL_VERSION):
            raise Refused("protocol-version", "PROPOSAL: of a version that is not spoken here")
        proposal = Proposal.from_bytes(message.payload)
        if proposal.terms.wallet_id != wallet_id:
            raise BadEncoding("PROPOSAL: its header names another wallet")
        return proposal

    def _under_way(self, proposal: Proposal) -> KeyGeneration | None:
        """The session of this proposal; None: it may begin.

        Raises:
            Refused: `session-over`.
            NameTaken: another wallet has its name, or this very one is made.
        """
        reserved = self._reserved.find(proposal.terms.wallet_id)
        if reserved is not None:
            if reserved.files.proposal != proposal:
                raise reserved.taken()
            return self._session_of(reserved)
        if self._holder.store.ended.has(proposal.terms.wallet_id):
            raise Refused("session-over", "the key generation of that nonce has ended here")
        self._reserved.require_free(proposal.name, self._wallets.has_name)
        return None

    def _begun(self, reserved: Reserved, policy_file: bytes) -> KeyGeneration:
        proposal = reserved.files.proposal
        try:
            session = KeyGeneration.begin(
                self._holder, self._suite_of(proposal), proposal, policy_file
            )
        except BaseException:
            self._end_quietly(reserved, "it could not begin")
            raise
        reserved.live = session
        reserved.until = self._ticks() + ROUND_SECONDS
        return session

    @contextmanager
    def _session(self, sources: Sequence[bytes]) -> Iterator[KeyGeneration]:
        """The session that the first message names; it ends for good if a round fails in it."""
        if not sources:
            raise BadEncoding("a round without messages")
        wallet_id = parse_envelope(sources[0]).address.wallet_id
        with self._reserved.alone_with(wallet_id):
            reserved = self._reserved.find(wallet_id)
            if reserved is None:
                raise Refused("no-session", "no key generation of that wallet is under way here")
            session = self._session_of(reserved)
            try:
                yield session
            except ProtocolAbort as aborted:
                self._abort(reserved, session, aborted)
                raise
            except BaseException:
                if session.doomed:
                    self._end_quietly(reserved, "a round failed")
                raise
            reserved.until = self._ticks() + ROUND_SECONDS
            if session.secrets is None:
                reserved.live, reserved.prepared = None, True

    def _session_of(self, reserved: Reserved) -> KeyGeneration:
        """The one with secrets, or one that repeats what is on disk.

        Raises:
            Refused: `session-over`: it was aborted, and what is left of it is being removed.
        """
        if reserved.live is not None:
            return reserved.live
        if not reserved.prepared:
            raise Refused("session-over", "that key generation has ended here")
        suite = self._suite_of(reserved.files.proposal)
        return KeyGeneration.resumed(self._holder, suite, reserved.files)

    def _abort(self, reserved: Reserved, session: KeyGeneration, aborted: ProtocolAbort) -> None:
        """Evidence and audit line; then the session is dead, and only then whom to blame.

        Whatever of this fails is tried again by `expire`; the secrets are gone in any case.
        """
        holder, wallet_id = reserved.files.holder, reserved.files.wallet_id
        messages = aborted.evidence if isinstance(aborted, Equivocation) else ()
        try:
            proof = [*session.received(), *messages] if aborted.culprits else []
            named = keep_evidence(holder.store.evidence, holder.keys, str(aborted), proof)
            fields: dict[str, Json] = {"culprits": list(aborted.culprits), **named}
            self._end_durably(reserved, session, str(aborted), fields)
            blames = accusations(holder, session, aborted.culprits)
            if blames:
                keep_evidence(holder.store.evidence, holder.keys, "blame", blames)
                self._remember_blames(wallet_id, blames)
        except HsmMpcError as failure:
            aborted.add_note(str(failure))
        finally:
            session.end()

    def _remember_blames(self, wallet_id: WalletId, blames: tuple[bytes, ...]) -> None:
        while len(self._blames) >= _BLAMES_KEPT:
            self._blames.pop(next(iter(self._blames)))
        self._blames[wallet_id] = blames

    def _is_over(self, reserved: Reserved) -> bool:
        """Out of time, or dead with something of it left."""
        if reserved.live is None:
            return not reserved.prepared
        late = reserved.files.proposal.deadline < self._holder.clock()
        return late or self._ticks() >= reserved.until

    def _end(self, reserved: Reserved, reason: str) -> None:
        """End a session durably; its secrets are gone even if that fails."""
        session = reserved.live
        try:
            self._end_durably(reserved, session, reason, {})
        finally:
            if session is not None:
                session.end()

    def _end_quietly(self, reserved: Reserved, reason: str) -> None:
        """As `_end`, where another error is on its way: `expire` tries again."""
        with suppress(HsmMpcError):
            self._end(reserved, reason)

    def _end_durably(
        self,
        reserved: Reserved,
        session: KeyGeneration | None,
        reason: str,
        fields: Mapping[str, Json],
    ) -> None:
        """Leave nothing but the refusal of its nonce, unless the share is sealed (2.6.2, 2.6.8)."""
        reserved.live = None
        if session is not None and session.sealed:
            reserved.prepared = True
            reserved.files.audit("keygen-aborted", {"reason": reason, **fields})
            return
        leftovers.end_unsealed(self._holder, reserved.files, reason, fields)
        self._reserved.drop(reserved.files.wallet_id)
