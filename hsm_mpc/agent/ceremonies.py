"""The key generations under way at this holder, and what becomes of those that end early."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hsm_mpc.agent import confirmation
from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.admission import admit
from hsm_mpc.agent.keygen import KeyGeneration
from hsm_mpc.agent.wallets import HeldWallets
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.wrapping_keys import wrapping_key_id
from hsm_mpc.errors import BadEncoding, NameTaken, ProtocolAbort, Refused
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.store.record import EpochState
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.inbox import Expected
from hsm_mpc.wire.rounds import PROPOSAL

MOST_UNDER_WAY = 8
"""Key generations at once: each holds secrets in protected memory."""

_NO_EPOCH = EpochHash(bytes(32))
_NO_SESSION = bytes(32)


class Ceremonies:
    """All key generations of one holder. Safe to use from threads."""

    def __init__(self, holder: ActingHolder, wallets: HeldWallets, suite: Suite) -> None:
        self._holder = holder
        self._wallets = wallets
        self._suite = suite
        self._lock = threading.RLock()
        self._under_way: dict[WalletId, KeyGeneration] = {}

    def recover(self) -> None:
        """At start: the one-time keys of unfinished sessions are gone, so their KEK_0 goes too."""
        sealed = {held.wallet_id for held in self._wallets.all()}
        for ph in self._holder.store.proposals.hashes():
            proposal = Proposal.from_bytes(self._holder.store.proposals.load(ph))
            wallet_id = proposal.terms.wallet_id
            if wallet_id not in sealed:
                self._destroy_key(ph, wallet_id)
            self._holder.store.proposals.end(ph)

    def propose(self, source: bytes, policy_file: bytes) -> bytes:
        """PROPOSAL → HELLO. A repeat is answered with the same bytes.

        Raises:
            Refused, NameTaken: this holder does not take part; final for this proposal.
            BadEncoding, InvalidSignature: it is no proposal of a coordinator that is known here.
        """
        wallet_id = parse_envelope(source).address.wallet_id
        expected = Expected(PROPOSAL, wallet_id, _NO_SESSION, _NO_EPOCH, None)
        message = self._holder.inbox().receive(source, expected, self._holder.clock())
        proposal = Proposal.from_bytes(message.payload)
        with self._lock:
            self._drop_late()
            known = self._under_way.get(wallet_id)
            if known is not None and known.proposal == proposal:
                return known.hello
            if len(self._under_way) >= MOST_UNDER_WAY:
                raise Refused("too-many-ceremonies", "too many wallets are being made at once")
            admit(self._holder, proposal, policy_file)
            with self._wallets.reserved(proposal.name):
                self._refuse_name_under_way(proposal.name)
                session = KeyGeneration(self._holder, self._suite, proposal, policy_file)
                self._under_way[wallet_id] = session
        return session.hello

    def take_hellos(self, sources: Sequence[bytes]) -> bytes:
        """n HELLOs → msg1."""
        with self._session(sources) as session:
            return session.take_hellos(sources)

    def take_dealings(self, sources: Sequence[bytes], channels: Sequence[bytes]) -> bytes:
        """n msg1, with the channels of all → round 3."""
        for index, channel in enumerate(channels, 1):
            self._holder.learn_channel(index, channel)
        with self._session(sources) as session:
            return session.take_dealings(sources)

    def certify(self, source: bytes) -> bytes:
        """CERT → DONE; the one-time keys of the session are wiped."""
        done = confirmation.certify(self._holder, source)
        wallet_id = parse_envelope(source).address.wallet_id
        with self._lock:
            session = self._under_way.pop(wallet_id, None)
        if session is not None:
            session.end()
        return done

    def activate(self, sources: Sequence[bytes]) -> None:
        """n DONEs: the wallet may sign."""
        confirmation.activate(self._holder, sources)

    def discard(self, wallet_id: WalletId) -> None:
        """Remove what an unfinished creation left: state prepared only (step 2.6.8).

        Raises:
            Refused: `not-prepared`, or `unknown-wallet`.
        """
        epochs = self._holder.epochs(wallet_id)
        records = epochs.records()
        if not records:
            raise Refused("unknown-wallet", "nothing of that wallet is in this store")
        with self._lock:
            for record in records:
                if record.state is not EpochState.PREPARED:
                    raise Refused("not-prepared", "the wallet is certified: it is not discarded")
                self._holder.audit("keygen-discarded", {"wallet_id": wallet_id.hex()})
                destroy_named_key(self._holder, record.kek_uri, wallet_id)
                epochs.discard(record.epoch_hash)
            session = self._under_way.pop(wallet_id, None)
            if session is not None:
                session.end()

    @contextmanager
    def _session(self, sources: Sequence[bytes]) -> Iterator[KeyGeneration]:
        """The session that the first message names; it ends for good if the body aborts it."""
        if not sources:
            raise BadEncoding("a round without messages")
        wallet_id = parse_envelope(sources[0]).address.wallet_id
        with self._lock:
            session = self._under_way.get(wallet_id)
            if session is None:
                raise Refused("no-session", "no key generation of that wallet is under way here")
            try:
                yield session
            except ProtocolAbort as aborted:
                self._abandon(wallet_id, session, str(aborted))
                raise

    def _abandon(self, wallet_id: WalletId, session: KeyGeneration, reason: str) -> None:
        fields = {"wallet_id": wallet_id.hex(), "reason": reason}
        self._holder.audit("keygen-aborted", fields)
        del self._under_way[wallet_id]
        session.abandon()

    def _drop_late(self) -> None:
        """Sessions whose deadline passed before their share was sealed (step 2.6.2)."""
        for wallet_id, session in tuple(self._under_way.items()):
            if session.proposal.deadline < self._holder.clock() and not session.sealed:
                self._abandon(wallet_id, session, "deadline")

    def _refuse_name_under_way(self, name: str) -> None:
        if any(session.proposal.name == name for session in self._under_way.values()):
            raise NameTaken(f"a wallet called {name!r} is being made")

    def _destroy_key(self, ph: bytes, wallet_id: WalletId) -> None:
        key_id = wrapping_key_id(wallet_id, self._holder.me, ph, Attempt.NONE, 0)
        key = keys.find_wrapping_key(self._holder.token, key_id, keys.wrapping_label(wallet_id))
        if key is not None:
            keys.destroy(self._holder.token, key)


def destroy_named_key(holder: ActingHolder, uri: str, wallet_id: WalletId) -> None:
    """Destroy the wrapping key that a record names, if it is still there."""
    key_id = KeyUri.parse(uri).key_id
    key = keys.find_wrapping_key(holder.token, key_id, keys.wrapping_label(wallet_id))
    if key is not None:
        keys.destroy(holder.token, key)
