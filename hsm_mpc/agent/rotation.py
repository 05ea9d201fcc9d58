"""The own identity key gives its place to another one in the same HSM (step 6.7.9).

Order: the new key is in the HSM → what tells others of it is durable → every other holder would
take it → the audit log says so, under the old key → the card names the new one, which is the turn
→ the roster of each wallet, and the own confirmations → every other holder has taken it → records
and consents are signed by the new key → the old one is destroyed. Each step may be done again: what
a crash interrupts the next start finishes, or the same call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from hsm_mpc import audit
from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.consents import Consents
from hsm_mpc.agent.holdings import say_done_again
from hsm_mpc.agent.own_identity import kept_card, kept_rotation
from hsm_mpc.agent.repair.offering import withdraw_if_useless
from hsm_mpc.agent.succession.desk import Successions
from hsm_mpc.agent.succession.live import LiveEpoch
from hsm_mpc.agent.wallets import HeldWallets
from hsm_mpc.audit import Json
from hsm_mpc.card import Card
from hsm_mpc.certificates.rotate import Rotate, Rotation
from hsm_mpc.encoding import u8
from hsm_mpc.errors import (
    BackendError,
    BadInput,
    HsmMpcError,
    InvalidSignature,
    NotReady,
    Refused,
    Tampered,
)
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.identity import Identity, identities
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import WalletId
from hsm_mpc.store.destruction import DestructionDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.amendment import Rotated
from hsm_mpc.tags import Tag
from hsm_mpc.wire.amended import has_taken
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope

CONSENT_SECONDS: Final = 6 * 24 * 3600
"""How long the other operators have: refreshes, which tell of it, may be days apart."""


@dataclass(frozen=True, slots=True)
class RotationState:
    """How far a rotation has come."""

    known_key: VerifyingKey
    identity_key: VerifyingKey
    turned: bool
    """This holder signs by the new key."""
    ended: bool
    """All others have it, and the old one is destroyed."""
    wallets: tuple[str, ...]
    """Whose rosters it changes."""


class Rotations:
    """The rotation of one holder's own key. Safe to use from threads."""

    def __init__(
        self,
        holder: ActingHolder,
        wallets: HeldWallets,
        consents: Consents,
        successions: Successions,
    ) -> None:
        self._holder = holder
        self._wallets = wallets
        self._consents = consents
        self._successions = successions

    def settle(self) -> None:
        """At start, before anything else looks at wallets: finish what a crash interrupted. What
        does not fit of a wallet is said aloud, and stays.

        Raises:
            BackendError, Tampered: HSM or disk; the holder does not start.
        """
        rotation = kept_rotation(self._holder.store)
        if rotation is None or not self._is_turned(rotation):
            return
        if self._holder.identity.before is None:
            self._destroy(rotation)
        else:
            self._follow(rotation)

    def is_under_way(self) -> bool:
        """Whether `begin` would go on with one, and make no key."""
        return kept_rotation(self._holder.store) is not None

    def begin(self) -> RotationState:
        """The operator wants another key: make it, and what the others are told. A repeat goes on,
        and changes nothing else.

        Raises:
            NotReady: a wallet is not active.
            Refused: `other-roster`: a wallet has another key of this holder.
            BackendError: HSM or disk.
        """
        with self._successions.alone():
            rotation = kept_rotation(self._holder.store)
            lives = self._lives()
            if rotation is None:
                rotation = self._made(lives)
            rotation = self._completed(rotation, lives)
            names = tuple(live.body.terms.name for live in lives)
            if not lives:
                if not self._is_turned(rotation):
                    self._require_quiet(rotation, lives)
                    self._turn(rotation)
                self._end(rotation)
            turned = self._is_turned(rotation)
        keys_ = rotation.known_key, rotation.identity_key
        return RotationState(*keys_, turned=turned, ended=not lives, wallets=names)

    def offered(self) -> tuple[bytes, ...]:
        """Whether this holder has turned to its new key, and ROTATE for each of its wallets; or
        nothing.
        """
        with self._successions.alone():
            rotation = kept_rotation(self._holder.store)
            if rotation is None:
                return ()
            rotation = self._completed(rotation, self._lives())
            rotates = (each.to_bytes() for each in rotation.rotates)
            return u8(self._is_turned(rotation)), *rotates

    def turn(self) -> None:
        """Every other holder would take the new key: this one signs by it from now on. Who says so
        falsely makes the others refuse what this holder says, until they have taken it.

        Raises:
            Refused: `no-rotation`.
            NotReady: something is under way that was begun with the old key.
            Tampered, BackendError: HSM or disk; to be called again.
        """
        with self._successions.alone():
            rotation, lives = self._required(), self._lives()
            if not self._is_turned(rotation):
                self._require_quiet(rotation, lives)
                self._turn(rotation)
            self._follow(rotation)
            for live in lives:
                self._wallets.forget(live.wallet_id)

    def turned(self, messages: Sequence[bytes]) -> None:
        """AMENDED of the others → the old key is destroyed.

        Raises:
            Refused: `no-rotation`, or `not-turned`.
            NotReady: some have not taken the new key of a wallet yet; it names them.
            Tampered, BackendError: HSM or disk; to be called again.
        """
        with self._successions.alone():
            rotation = self._required()
            if not self._is_turned(rotation):
                raise Refused("not-turned", "this holder signs by its old key still")
            missing = self._missing(rotation, messages)
            if missing:
                raise NotReady(f"the new key is not taken yet by {', '.join(missing)}", missing)
            self._end(rotation)

    # Before the turn

    def _made(self, lives: Sequence[LiveEpoch]) -> Rotation:
        holder = self._holder
        for live in lives:
            if live.lineage.newest.roster.member(live.holder.me).key != holder.identity.key:
                name = live.body.terms.name
                raise Refused("other-roster", f"wallet {name} has another key of this holder")
        following = self._following()
        following.require_attributes()
        rotation = Rotation(holder.identity.key, following.key, ())
        holder.audit("identity-made", _fields(rotation))
        holder.store.keep_rotation(rotation.to_bytes())
        return rotation

    def _following(self) -> Identity:
        """The new key: in the HSM since a try that was interrupted, or made now."""
        token, current = self._holder.token, self._holder.identity.key
        found = identities(token)
        for identity in found.values():
            if identity.key != current:
                return identity
        (name,) = [name for name in keys.IDENTITIES if name not in found]
        return Identity(token, keys.generate_identity_key(token, current.algorithm, name))

    def _completed(self, rotation: Rotation, lives: Sequence[LiveEpoch]) -> Rotation:
        """With ROTATE of each wallet that has a share here, in time for the others' consents."""
        known = {each.wallet_id: each for each in rotation.rotates}
        now = self._holder.clock()
        rotates = tuple(
            known[live.wallet_id]
            if _still_tells(known.get(live.wallet_id), live, now)
            else self._signed(rotation, live)
            for live in lives
        )
        completed = replace(rotation, rotates=rotates)
        if completed != rotation:
            self._holder.store.keep_rotation(completed.to_bytes())
        return completed

    def _signed(self, rotation: Rotation, live: LiveEpoch) -> Rotate:
        deadline = self._holder.clock() + CONSENT_SECONDS
        rotate = Rotate(
            live.wallet_id,
            live.body.hash,
            live.holder.me,
            rotation.known_key,
            rotation.identity_key,
            deadline,
        )
        old, new = (self._with(key) for key in (rotation.known_key, rotation.identity_key))
        return replace(
            rotate,
            old_signature=old.sign(Tag.ROTATE, rotate.terms),
            new_signature=new.sign(Tag.ROTATE, rotate.terms),
        )

    def _require_quiet(self, rotation: Rotation, lives: Sequence[LiveEpoch]) -> None:
        """Nothing waits for what this holder would say by its old key."""
        holder = self._holder
        told = [each.wallet_id for each in rotation.rotates]
        if told != [live.wallet_id for live in lives]:
            raise NotReady("the others were not told of every wallet")
        if holder.store.proposals.hashes():
            raise NotReady("a wallet is being made with the old identity key")
        for live in lives:
            name = live.body.terms.name
            if live.register.adopted is not None or live.held.record.state is not EpochState.ACTIVE:
                raise NotReady(f"wallet {name}: an epoch is about to take the place of another")
            withdraw_if_useless(holder, live.wallet_id)
            if holder.store.repairs(live.wallet_id).offer() is not None:
                raise NotReady(f"wallet {name}: the share of this holder is being repaired")

    # The turn

    def _turn(self, rotation: Rotation) -> None:
        """The card is what tells which key is the holder's: writing it is the commit."""
        holder, following = self._holder, self._with(rotation.identity_key)
        holder.audit(audit.ROTATED, _fields(rotation))
        moment = datetime.fromtimestamp(holder.clock(), UTC)
        holder.store.audit.checkpoint(moment, holder.identity.sign)
        kept = kept_card(holder.store)
        if kept is None:
            raise NotReady("this holder has no card yet: run hsm-mpc holder init")
        content = replace(kept.content, key=rotation.identity_key)
        card = Card(content, following.sign(Tag.CARD, content.to_bytes()))
        holder.store.keep_card(card.to_bytes())
        holder.identity.become(following)

    def _follow(self, rotation: Rotation) -> None:
        """Channel keys are certified by the new key, the rosters of the own wallets have it, and
        confirmations are said again by it.
        """
        self._holder.channel.certify_again(rotation.identity_key, self._holder.clock())
        for rotate in rotation.rotates:
            if self._holder.store.destruction(rotate.wallet_id).is_decided:
                continue
            try:
                live = LiveEpoch.of(self._holder, self._wallets, rotate.wallet_id)
                live.keep(live.lineage.merged_with([Rotated(rotate).to_bytes()]))
                say_done_again(self._holder, live.body, live.own_done())
            except BackendError:
                raise
            except HsmMpcError as damaged:
                self._holder.alarm(rotate.wallet_id, damaged)

    # The end

    def _missing(self, rotation: Rotation, messages: Sequence[bytes]) -> list[str]:
        """Which other holders do not say of every wallet that they have the new key."""
        lives, missing = {live.wallet_id: live for live in self._lives()}, set[str]()
        for rotate in rotation.rotates:
            if rotate.wallet_id in lives:
                live = lives[rotate.wallet_id]
                there = {live.holder.me, *_takers(rotate, live.lineage.newest, messages)}
                absent = (index for index in live.holder.everybody() if index not in there)
                missing |= {live.holder.roster.member(index).name for index in absent}
        return sorted(missing)

    def _end(self, rotation: Rotation) -> None:
        """Nothing that counts is left of what the old key has signed; then it goes."""
        holder = self._holder
        for wallet_id in holder.store.wallet_ids():
            destruction = holder.store.destruction(wallet_id)
            if destruction.is_decided and not destruction.kept(DestructionDocument.DESTROYED):
                raise NotReady("a wallet is being destroyed")
            holder.epochs(wallet_id).sign_again()
        self._consents.sign_again()
        holder.audit("identity-destroyed", _fields(rotation))
        moment = datetime.fromtimestamp(holder.clock(), UTC)
        holder.store.audit.checkpoint(moment, holder.identity.sign)
        self._destroy(rotation)

    def _destroy(self, rotation: Rotation) -> None:
        holder = self._holder
        found = identities(holder.token)
        current = [name for name in found if found[name].key == rotation.identity_key]
        for name in keys.IDENTITIES:
            if name not in current:
                keys.destroy_identity_key(holder.token, name)
        holder.identity.forget_before()
        holder.store.end_rotation()

    # What there is

    def _required(self) -> Rotation:
        rotation = kept_rotation(self._holder.store)
        if rotation is None:
            raise Refused("no-rotation", "this holder has no new identity key")
        return rotation

    def _is_turned(self, rotation: Rotation) -> bool:
        return self._holder.identity.key == rotation.identity_key

    def _lives(self) -> list[LiveEpoch]:
        """The live epoch of each wallet that is not at its end, ascending by the wallet's id.

        Raises:
            NotReady: one has none; or the HSM knows a wallet that the store has lost.
        """
        store, lives = self._holder.store, []
        for wallet_id in sorted({*store.wallet_ids(), *self._holder.registers.wallet_ids()}):
            if store.destruction(wallet_id).is_decided or self._was_left(wallet_id):
                continue
            try:
                lives.append(LiveEpoch.of(self._holder, self._wallets, wallet_id))
            except (Refused, Tampered) as unfinished:
                raise NotReady(f"wallet {wallet_id.hex()}: {unfinished}") from unfinished
        return lives

    def _was_left(self, wallet_id: WalletId) -> bool:
        """Of a wallet that was shared anew to others: nothing but public documents is here."""
        holder = self._holder
        return holder.registers.read(wallet_id) is None and not holder.epochs(wallet_id).records()

    def _with(self, key: VerifyingKey) -> Identity:
        for identity in identities(self._holder.token).values():
            if identity.key == key:
                return identity
        raise Tampered(f"{self._holder.token.where}: an identity key of a rotation is missing")


def _still_tells(rotate: Rotate | None, live: LiveEpoch, now: int) -> bool:
    """In time, and of the place that this holder has among those of the wallet."""
    return rotate is not None and rotate.deadline > now and rotate.index == live.holder.me


def _takers(rotate: Rotate, keys_: KeyBook, messages: Sequence[bytes]) -> Iterator[int]:
    """Who says that it has the new key of this wallet."""
    for source in messages:
        try:
            sender = parse_envelope(source).address.sender
            if has_taken(source, rotate, sender, keys_):
                yield sender
        except (BadInput, InvalidSignature):
            continue  # about another wallet, or of nobody: it is asked for again


def _fields(rotation: Rotation) -> dict[str, Json]:
    """What the audit log says of it."""
    return {
        "from": rotation.known_key.to_bytes().hex(),
        "to": rotation.identity_key.to_bytes().hex(),
    }
