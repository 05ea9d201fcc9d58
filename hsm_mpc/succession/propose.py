"""PROPOSE (M3): who takes part in an attempt, and whether it makes a successor or carries one on.

    α ‖ SHA-256(ASK)[32] ‖ u8(0 new, 1 carry on) ‖ h'[32] ‖ u16be(#S) ‖ Σ LV32(JOIN)
    ‖ u16be(count) ‖ Σ LV32(CERT payload) ‖ Σ_{i=1..n} LV32(newest DONE_i)
    ‖ u16be(count) ‖ Σ LV32(AMENDMENT) [ ‖ u16be(n') ‖ Σ LV32(HELLO') ]

h' is zeros for a new one. The HELLOs of all new holders are there if it makes a resharing. The
amendments lead from the roster of the epoch that is replaced to the one in force, under which what
members say in the attempt verifies; a new h' names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.resharing import Resharing
from hsm_mpc.encoding import Reader, lv32, lv32_list, u8
from hsm_mpc.errors import BadEncoding, BadInput, Refused
from hsm_mpc.groups.sharing import require_ascending
from hsm_mpc.ids import EpochHash
from hsm_mpc.roster import Roster
from hsm_mpc.succession.addresses import Replaced, expected_in, session_of, signed_by_identity
from hsm_mpc.succession.amendment import amended
from hsm_mpc.succession.dones import done_in
from hsm_mpc.succession.join import Adoption, Join
from hsm_mpc.succession.newcomers import Newcomers, newcomers_in
from hsm_mpc.tags import Tag, tagged_hash
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Message, parse_envelope
from hsm_mpc.wire.rounds import JOIN, PROPOSE

_NONE = EpochHash(bytes(32))


def attempt_of(message: Message) -> Attempt:
    """Of a PROPOSE message, of which nothing is checked yet. Raises: BadEncoding: it has none."""
    return Attempt.read(Reader(message.payload, "propose"))


def attempt_in(source: bytes) -> Attempt:
    """The same, of its bytes."""
    return attempt_of(parse_envelope(source))


@dataclass(frozen=True, slots=True)
class Propose:
    """Payload of PROPOSE. `joins` and `dones` are whole messages."""

    attempt: Attempt
    ask_digest: bytes
    successor: EpochHash | None
    """What the attempt carries on; None: it makes a new one."""
    joins: tuple[bytes, ...]
    """Of the members S, ascending."""
    adopted: tuple[bytes, ...]
    """The CERT payload of every adoption that a JOIN tells of, ascending by SHA-256."""
    dones: tuple[bytes, ...]
    """The newest DONE of each holder, in roster order: it has the delivery key V_i."""
    amendments: tuple[bytes, ...] = ()
    """What the roster of the epoch to be replaced has not seen, in their order."""
    hellos: tuple[bytes, ...] = ()
    """HELLO' of every new holder of a resharing, in the order of the new roster."""

    def to_bytes(self) -> bytes:
        """The payload."""
        newcomers = lv32_list(self.hellos) if self.hellos else b""
        return (
            self.attempt.to_bytes()
            + self.ask_digest
            + u8(self.successor is not None)
            + (self.successor or _NONE)
            + lv32_list(self.joins)
            + lv32_list(self.adopted)
            + b"".join(lv32(done) for done in self.dones)
            + lv32_list(self.amendments)
            + newcomers
        )

    @classmethod
    def from_bytes(cls, source: bytes, holders: int) -> Propose:
        """Inverse of `to_bytes` for a roster of `holders`; `BadEncoding` for anything else."""
        reader = Reader(source, "propose")
        attempt, ask_digest = Attempt.read(reader), reader.take(32)
        form, successor = reader.u8(), EpochHash(reader.take(32))
        if form > 1 or (form == 0 and successor != _NONE):
            raise BadEncoding("propose: it says neither a new successor nor one to carry on")
        joins, adopted = reader.lv32_list(), reader.lv32_list()
        dones = tuple(reader.lv32() for _ in range(holders))
        amendments = reader.lv32_list()
        hellos: tuple[bytes, ...] = ()
        if reader.consumed < len(source):
            hellos = reader.lv32_list()
            if not hellos:
                raise BadEncoding("propose: a resharing to nobody")
        reader.end()
        carried_on = successor if form else None
        return cls(attempt, ask_digest, carried_on, joins, adopted, dones, amendments, hellos)


@dataclass(frozen=True, slots=True)
class Proposed:
    """A PROPOSE that holds: its members, and to whom their dealings are sealed."""

    source: bytes
    """The whole message."""
    content: Propose
    members: tuple[int, ...]
    """S, ascending."""
    delivery_keys: tuple[bytes, ...]
    """V_1..V_n."""
    before: Roster
    """Which the epoch that is replaced names."""
    keys: KeyBook
    """Under the roster in force: what members say in the attempt verifies under them."""
    dealers: tuple[int, ...]
    """All members; of a resharing the first t of them, Q (step 6.8.2)."""
    newcomers: Newcomers | None
    """To whom a resharing deals."""

    @property
    def session_id(self) -> bytes:
        """sid of the dealings, 32 bytes (step 6.4.1)."""
        return tagged_hash(Tag.REFRESH, self.source)

    @property
    def head_of_deals(self) -> bytes:
        """What every DEAL begins with: α ‖ sid. Two proposals may have one α, and a dealing is good
        for one of them only.
        """
        return self.content.attempt.to_bytes() + self.session_id

    def transcript_hash(self, deal_digests: Iterable[bytes]) -> bytes:
        """What the successor's body names: PROPOSE and the SHA-256 of each DEAL, ascending."""
        return tagged_hash(Tag.PROPOSE, lv32(self.source) + b"".join(deal_digests))


def check_propose(
    message: Message, replaced: Replaced, keys: KeyBook, resharing: Resharing | None = None
) -> Proposed:
    """Whether PROPOSE may be followed (step 6.5.2); its own signature is not looked at.

    Args:
        keys: of the roster of the epoch to be replaced.
        resharing: what ASK asks for; None: a refresh, or to carry on what was adopted.

    Raises:
        BadInput, InvalidSignature: it may not.
        Refused: `split`: two successors were adopted in the highest attempt that JOINs tell of.
    """
    content = Propose.from_bytes(message.payload, replaced.terms.sizes.n)
    _check_address(message, content.attempt, replaced)
    in_force = _keys_in_force(content, replaced, keys)
    members, joins = _members(content, replaced, in_force)
    _check_choice(content, joins)
    delivery_keys = _delivery_keys(content.dones, replaced, in_force)
    newcomers = _newcomers(content, replaced, in_force, resharing)
    dealers = members if newcomers is None else members[: replaced.terms.sizes.t]
    return Proposed(
        message.to_bytes(),
        content,
        members,
        delivery_keys,
        keys.roster,
        in_force,
        dealers,
        newcomers,
    )


def highest_adoption(joins: Iterable[Join]) -> Adoption | None:
    """The adoption in the highest attempt, which has to be carried on (step 6.5.2).

    Raises:
        Refused: `split`: there are two different ones.
    """
    adoptions = [join.adopted for join in joins if join.adopted is not None]
    if not adoptions:
        return None
    highest = max(adoptions, key=lambda adoption: adoption.attempt)
    rivals = {each.epoch_hash for each in adoptions if each.attempt == highest.attempt}
    if len(rivals) > 1:
        raise Refused("split", "two successors of one epoch were adopted in one attempt")
    return highest


def _check_address(message: Message, attempt: Attempt, replaced: Replaced) -> None:
    address = message.address
    if message.kind is not PROPOSE or attempt.initiator != address.sender:
        raise BadInput("propose: it is not of the initiator of its attempt")
    belongs = (address.wallet_id, address.epoch_hash, address.session_id)
    wanted = (replaced.terms.wallet_id, replaced.hash, session_of(replaced.hash, attempt))
    if belongs != wanted:
        raise BadInput("propose: it is of another wallet, epoch or attempt")


def _keys_in_force(content: Propose, replaced: Replaced, keys: KeyBook) -> KeyBook:
    ordered, roster = amended(content.amendments, replaced.terms, keys.roster)
    if ordered != content.amendments:
        raise BadInput("propose: its amendments are not in their order")
    return keys.under(roster)


def _members(
    content: Propose, replaced: Replaced, keys: KeyBook
) -> tuple[tuple[int, ...], list[Join]]:
    sizes = replaced.terms.sizes
    members, joins = [], []
    for source in content.joins:
        sender = parse_envelope(source).address.sender
        expected = expected_in(JOIN, replaced, content.attempt, range(1, sizes.n + 1))
        join = Join.from_bytes(signed_by_identity(source, expected, keys).payload)
        if join.attempt != content.attempt:
            raise BadInput(f"propose: holder {sender} joined another attempt")
        members.append(sender)
        joins.append(join)
    require_ascending(members, sizes.n)
    if len(members) < sizes.join:
        raise BadInput(f"propose: {len(members)} holders joined, {sizes.join} are wanted")
    return tuple(members), joins


def _check_choice(content: Propose, joins: Sequence[Join]) -> None:
    """New exactly if nobody has adopted anything, else the adoption of the highest attempt."""
    digests = {join.adopted.certificate_digest for join in joins if join.adopted is not None}
    if [hashlib.sha256(each).digest() for each in content.adopted] != sorted(digests):
        raise BadInput("propose: the certificates are not those of the adoptions")
    highest = highest_adoption(joins)
    if content.successor != (None if highest is None else highest.epoch_hash):
        raise BadInput("propose: it does not carry on what was adopted last")


def _delivery_keys(dones: Sequence[bytes], replaced: Replaced, keys: KeyBook) -> tuple[bytes, ...]:
    """V_1..V_n, each of this epoch: what is sealed to an older one, nobody can open who has retired
    that. No two are equal: one pad would then seal two different shares (step 2.3.5).
    """
    found = []
    for index, source in enumerate(dones, 1):
        done = done_in(source, index, replaced, keys)
        if done.epoch_hash != replaced.hash:
            raise BadInput(f"propose: the DONE of holder {index} is of another epoch")
        found.append(done.delivery_key)
    if len(set(found)) != len(found):
        raise BadInput("propose: two holders have one delivery key")
    return tuple(found)


def _newcomers(
    content: Propose, replaced: Replaced, keys: KeyBook, resharing: Resharing | None
) -> Newcomers | None:
    """Those of a resharing, whose roster follows the one in force (step 6.8.1)."""
    if resharing is None or content.successor is not None:
        if content.hellos:
            raise BadInput("propose: new holders where nothing is shared anew")
        return None
    try:
        resharing.roster.check_succeeds(keys.roster)
    except Refused as other:
        raise BadInput(f"propose: {other}") from other
    return newcomers_in(content.hellos, resharing, replaced, content.attempt, keys)
