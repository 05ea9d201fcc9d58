"""What a holder acts with and under: its place, its keys, its store, and whom it believes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from hsm_mpc.agent.channel import ChannelKeys
from hsm_mpc.audit import Json
from hsm_mpc.certificates.body import EpochBody, EpochKind
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, Refused, Tampered
from hsm_mpc.hsm.capabilities import Wrapping
from hsm_mpc.hsm.identity import OwnIdentity
from hsm_mpc.hsm.register import Registers
from hsm_mpc.hsm.token import Token
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import EpochHash, HolderIndex, WalletId
from hsm_mpc.policy.rules import Policy
from hsm_mpc.roster import Roster
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.store.attempts import Attempts
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.holder import HolderStore
from hsm_mpc.succession.lineage import Lineage, lost_keys_in
from hsm_mpc.wire.channels import KeyBook, channel_address
from hsm_mpc.wire.envelope import Address, Message, seal_envelope
from hsm_mpc.wire.inbox import Inbox
from hsm_mpc.wire.rounds import CHANNEL, EVERYBODY, Key, MessageKind

NO_EPOCH = EpochHash(bytes(32))
"""h_e in the header of every message of a key generation."""
NO_SESSION = bytes(32)
_LINEAGES_KEPT: Final = 256
"""Read: each signature in one costs some tenths of a millisecond."""


@dataclass(frozen=True, slots=True)
class ActingHolder:
    """One holder at work, in the one process that has its store's lock and its token's login."""

    me: HolderIndex
    """Its place in `roster`."""
    roster: Roster
    """The pinned one; once it is `seated`, that of a wallet."""
    lab: bool
    asks_operator: bool
    """Its operator consents to every plan, also in a lab."""
    clients: frozenset[VerifyingKey]
    """Whose keys a lab holder lets into a new wallet by itself."""
    arena: Arena
    entropy: Entropy
    token: Token
    wrapping: Wrapping
    """What new wrapping keys are, as the token was found to do at this start."""
    identity: OwnIdentity
    registers: Registers
    store: HolderStore
    channel: ChannelKeys
    keys: KeyBook
    """Under `roster`; of a wallet whose roster was amended since, `keys_of`."""
    parse_policy: Callable[[bytes], Policy]
    clock: Callable[[], int]
    """Seconds since 1970 UTC."""

    @property
    def place(self) -> HolderIndex:
        """In the pinned roster: by it the holder is known outside of any wallet."""
        return self.keys.pinned.index_of(self.roster.member(self.me).name)

    def seated(self, roster: Roster) -> ActingHolder:
        """This holder among those of a wallet, counted as they are.

        Raises:
            Refused: `not-a-member`: it is none of them.
        """
        own = self.keys.pinned.member(self.place).name
        if roster == self.roster:
            return self
        for place, member in enumerate(roster.members, 1):
            if member.name == own:
                return replace(
                    self, me=HolderIndex(place), roster=roster, keys=self.keys.under(roster)
                )
        raise Refused("not-a-member", "this holder is not in the roster of that wallet")

    def at(self, body: EpochBody) -> ActingHolder:
        """This holder among those of an epoch. A refresh that is not decided yet may name a roster
        that nobody has seen: its holders are those of before.

        Raises:
            Refused: `not-a-member`.
            Tampered: as `keys_of`.
        """
        try:
            return self.seated(self.keys_of(body).roster)
        except Tampered:
            if body.kind is not EpochKind.REFRESH:
                raise
            return self.seated(self.lineage_of(body).newest.roster)

    def epochs(self, wallet_id: WalletId) -> Epochs:
        """This holder's epochs of one wallet."""
        return self.store.wallet(wallet_id, self.place, self.identity.sign, self.identity.verify)

    def attempts(self, wallet_id: WalletId) -> Attempts:
        """This holder's attempts to replace an epoch of one wallet."""
        return self.store.attempts(wallet_id)

    def lineage(self, terms: WalletTerms) -> Lineage:
        """Every roster of a wallet, from the pinned one to the one in force (step 6.7.2).

        Raises:
            Tampered: what is kept of it does not hold.
        """
        kept = self.store.repairs(terms.wallet_id).lineage()
        try:
            return _lineage_in(kept or b"", terms, self.keys.under_pinned)
        except (BadInput, InvalidSignature) as broken:
            raise Tampered(f"wallet {terms.name}: its roster's amendments: {broken}") from broken

    def lost_keys(self) -> frozenset[VerifyingKey]:
        """Identity keys that another one has replaced, in whichever wallet: a holder has one for
        all of them.

        Raises:
            Tampered: what is kept of a wallet does not parse.
        """
        lost = set[VerifyingKey]()
        for wallet_id in self.store.wallet_ids():
            try:
                lost |= lost_keys_in(self.store.repairs(wallet_id).lineage() or b"")
            except BadInput as broken:
                raise Tampered(f"wallet {wallet_id.hex()}: its amendments: {broken}") from broken
        return frozenset(lost)

    def lineage_of(self, body: EpochBody) -> Lineage:
        """That of the wallet of an epoch. As long as a resharing is not decided, all that has
        amended the roster is about the sizes of the epoch before.

        Raises:
            Tampered: as `lineage`; or another body is kept under that one's hash.
        """
        terms = body.terms
        if body.kind is EpochKind.RESHARE:
            kept = self.epochs(terms.wallet_id).kept(body.prev_hash, EpochDocument.BODY)
            before = body if kept is None else EpochBody.from_bytes(kept)
            if kept is not None and before.hash != body.prev_hash:
                raise Tampered(f"the body of epoch {body.prev_hash.hex()} is another one")
            terms = before.terms
        return self.lineage(terms)

    def keep_lineage(self, wallet_id: WalletId, lineage: Lineage) -> None:
        """What amends the roster of a wallet, on disk."""
        self.store.repairs(wallet_id).put_lineage(lineage.to_bytes())

    def keys_of(self, body: EpochBody) -> KeyBook:
        """The others' keys under the roster that an epoch names.

        Raises:
            Tampered: the epoch is of another roster than the pinned one and those it led to.
        """
        return self._keys(body, Lineage.book)

    def keys_in_force(self, body: EpochBody) -> KeyBook:
        """Those of the holders of an epoch that lives, as they are now. Raises: Tampered."""
        return self._keys(body, Lineage.in_force)

    def keys_since(self, body: EpochBody) -> KeyBook:
        """Those, and the ones that have taken their places since. Raises: Tampered."""
        return self._keys(body, Lineage.since)

    def _keys(self, body: EpochBody, look: Callable[[Lineage, bytes], KeyBook]) -> KeyBook:
        try:
            return look(self.lineage_of(body), body.terms.roster_hash)
        except BadInput as foreign:
            kept = self.epochs(body.terms.wallet_id).kept(body.hash, EpochDocument.ROSTER)
            if kept is not None:  # of a resharing that is not decided yet
                roster = Roster.from_bytes(kept)
                if roster.hash == body.terms.roster_hash:
                    return self.keys.under(roster)
            raise Tampered(f"wallet {body.terms.name}: {foreign}") from foreign

    def audit(self, event: str, fields: Mapping[str, Json]) -> None:
        """A durable line, before what it tells of takes effect (step 3.4.15).

        Raises:
            BackendError: the disk is full: then nothing takes effect.
        """
        moment = datetime.fromtimestamp(self.clock(), UTC)
        self.store.audit.append(event, moment, fields)

    def alarm(self, wallet_id: WalletId, reason: object) -> None:
        """What does not fit of a wallet is said aloud. Raises: BackendError, as `audit`."""
        self.audit("alarm", {"wallet_id": wallet_id.hex(), "reason": str(reason)})

    def learn_channel(self, index: int, source: bytes) -> None:
        """Take in holder `index`'s CHANNEL message (step 1.7.2).

        Raises:
            BadEncoding, BadInput, InvalidSignature, Refused: no valid channel of that holder.
        """
        if self.keys.learn_message(source, self.clock()) != index:
            raise BadEncoding(f"not a CHANNEL message of holder {index}")

    def channel_announcement(self) -> bytes:
        """The own CHANNEL message, for whoever asks."""
        signer = self.channel.signer(self.clock())
        payload, address = signer.channel.to_bytes(), channel_address(self.place)
        return seal_envelope(CHANNEL, address, payload, Key.CHANNEL, signer.sign).to_bytes()

    def everybody(self) -> tuple[int, ...]:
        """The indices of all holders."""
        return tuple(range(1, self.roster.n + 1))

    def inbox(self, keys: KeyBook | None = None) -> Inbox:
        """A fresh memory of what one session received."""
        return Inbox(self.keys if keys is None else keys)

    def identity_message(
        self, kind: MessageKind, wallet_id: WalletId, session_id: bytes, payload: bytes
    ) -> bytes:
        """A message of epoch 0 in the making, signed inside the HSM (key 2)."""
        address = Address(wallet_id, session_id, NO_EPOCH, self.me, EVERYBODY)
        return self.signed_by_identity(kind, address, payload)

    def signed_by_identity(self, kind: MessageKind, address: Address, payload: bytes) -> bytes:
        """A message signed inside the HSM (key 2)."""
        return seal_envelope(kind, address, payload, Key.IDENTITY, self.identity.sign).to_bytes()

    def channel_message(self, kind: MessageKind, address: Address, payload: bytes) -> Message:
        """A message signed with the channel key (key 1)."""
        sign = self.channel.signer(self.clock()).sign
        return seal_envelope(kind, address, payload, Key.CHANNEL, sign)


@lru_cache(_LINEAGES_KEPT)
def _lineage_in(source: bytes, terms: WalletTerms, keys: KeyBook) -> Lineage:
    return Lineage.from_bytes(source, terms, keys)
