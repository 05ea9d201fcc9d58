"""RETIRE (M8): so many holders have adopted one successor that the epoch before may go for good.

    u8(0) ‖ u16be(count) ‖ Σ LV32(DONE message)
    u8(2) ‖ the same ‖ u16be(n') ‖ Σ LV32(DONE' message)

of distinct holders, ascending, all for the same successor in the same attempt; of a resharing
besides the DONE of every new holder, of whichever attempt: it says that there is a share, and is no
vote (6.8.4). Where a confirmation is missing that never comes, administrators overrule (6.5.9):

    u8(1) or u8(3) ‖ u16be(count) ‖ Σ LV32(counted DONE message) [ ‖ DONE' messages, as above ]
                   ‖ LV32(ORDER) ‖ LV32(policy file)

Each proves itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.order import Order
from hsm_mpc.encoding import Reader, lv32, lv32_list, u8
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups.sharing import require_ascending
from hsm_mpc.ids import EpochHash
from hsm_mpc.succession.addresses import Replaced, expected_in, signed_by_identity
from hsm_mpc.succession.newcomers import arrival_in
from hsm_mpc.succession.ordering import check_order, check_terms
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import ADOPTION

_BY_ADOPTIONS = 0
_BY_ORDER = 1
_TO_NEW_HOLDERS = 2
"""Added up, they are the form."""


@dataclass(frozen=True, slots=True)
class Retired:
    """A RETIRE that holds: which epoch goes, and for the sake of which."""

    attempt: Attempt
    successor: EpochHash
    adopters: tuple[int, ...]
    order: Order | None = None
    """Of administrators; None: W holders have adopted it."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """Payload of RETIRE. Whether it holds, only `check` tells."""

    dones: tuple[bytes, ...]
    arrivals: tuple[bytes, ...] = ()
    """DONE of every new holder of a resharing, in the order of the new roster."""
    order: bytes = b""
    """ORDER; empty: the DONEs are enough."""
    policy_file: bytes = b""
    """Beside an order: it says whose order counts."""

    def to_bytes(self) -> bytes:
        """The payload."""
        form, arrivals, order = _BY_ADOPTIONS, b"", b""
        if self.arrivals:
            form, arrivals = form + _TO_NEW_HOLDERS, lv32_list(self.arrivals)
        if self.order:
            form, order = form + _BY_ORDER, lv32(self.order) + lv32(self.policy_file)
        return u8(form) + lv32_list(self.dones) + arrivals + order

    @classmethod
    def from_bytes(cls, source: bytes) -> Retirement:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "retire")
        form = reader.u8()
        if form > _BY_ORDER + _TO_NEW_HOLDERS:
            raise BadEncoding("retire: it is of an unknown form")
        dones = reader.lv32_list()
        arrivals = reader.lv32_list() if form & _TO_NEW_HOLDERS else ()
        order, policy_file = (reader.lv32(), reader.lv32()) if form & _BY_ORDER else (b"", b"")
        reader.end()
        if form & _TO_NEW_HOLDERS and not arrivals:
            raise BadEncoding("retire: a resharing to nobody")
        if form & _BY_ORDER and not order:
            raise BadEncoding("retire: an order is wanted")
        return cls(dones, arrivals, order, policy_file)

    def successor_in(self, replaced: Replaced) -> EpochHash:
        """For the sake of which epoch, as the first DONE says; nothing is checked yet.

        Raises:
            BadInput: no DONE says so.
        """
        if not self.dones:
            raise BadInput("retire: nobody has adopted anything")
        payload = parse_envelope(self.dones[0]).payload
        return Done.from_bytes(payload, replaced.terms.group).epoch_hash

    def check(
        self,
        replaced: Replaced,
        keys: KeyBook,
        successor: SuccessorCertificate,
        lost: Collection[int],
    ) -> Retired:
        """W holders have adopted this successor of `replaced` (step 6.5.7), or 6.5.9; and to whom
        it is shared anew, they have their shares (step 6.8.4).

        Args:
            keys: `Lineage.voters`.
            lost: `replaced_in` that epoch: no order rests on what they said. Of what was believed
                once already: nobody.

        Raises:
            BadInput, InvalidSignature: it is not so.
        """
        sizes = replaced.terms.sizes
        dones = [adoption_in(source, replaced, keys) for source in self.dones]
        adopters = [parse_envelope(source).address.sender for source in self.dones]
        require_ascending(adopters, sizes.n)
        wanted = 1 if self.order else sizes.adopt
        if len(dones) < wanted:
            raise BadInput(f"retire: {len(dones)} holders adopted, {wanted} are wanted")
        first = dones[0]
        if any((d.attempt, d.epoch_hash) != (first.attempt, first.epoch_hash) for d in dones):
            raise BadInput("retire: not all adopted the same successor in the same attempt")
        if first.epoch_hash != successor.body.hash:
            raise BadInput("retire: another successor was adopted")
        check_arrivals(self.arrivals, replaced, keys, successor)
        retired = Retired(first.attempt, first.epoch_hash, tuple(adopters))
        return self._ordered(retired, replaced, keys, lost) if self.order else retired

    def _ordered(
        self, retired: Retired, replaced: Replaced, keys: KeyBook, lost: Collection[int]
    ) -> Retired:
        """That, with an order that rests on exactly these DONEs (step 6.5.9)."""
        order = Order.from_bytes(self.order)
        check_terms(order, replaced, lost)
        if (order.attempt, order.successor) != (retired.attempt, retired.successor):
            raise BadInput("retire: the order is about another successor or attempt")
        if order.counted != retired.adopters:
            raise BadInput("retire: the order counts other holders")
        check_order(order, replaced, self.policy_file, keys)
        return replace(retired, order=order)


def check_adopted(
    order: Order, sources: Sequence[bytes], replaced: Replaced, keys: KeyBook
) -> None:
    """Each holder that an order counts, and nobody else, has said DONE of what is ordered.

    Args:
        sources: DONE messages, by holder, ascending.
        keys: `Lineage.voters`.

    Raises:
        BadInput, InvalidSignature: it is not so.
    """
    dones = [adoption_in(source, replaced, keys) for source in sources]
    adopters = tuple(parse_envelope(source).address.sender for source in sources)
    if adopters != order.counted:
        raise BadInput("order: it counts other holders than those that have adopted")
    if any((d.attempt, d.epoch_hash) != (order.attempt, order.successor) for d in dones):
        raise BadInput("order: one that it counts has adopted another successor, or otherwise")


def check_arrivals(
    sources: Sequence[bytes], replaced: Replaced, keys: KeyBook, successor: SuccessorCertificate
) -> None:
    """Every new holder has its share of a successor, and nobody else says so.

    Raises:
        BadInput, InvalidSignature: it is not so.
    """
    new = successor.shared_anew
    wanted = [] if new is None else list(range(1, new.roster.n + 1))
    if len(sources) != len(wanted):
        raise BadInput(f"retire: {len(sources)} of {len(wanted)} new holders have their shares")
    if new is None:
        return
    book = keys.of_new_holders(new.roster)
    found = [arrival_in(source, replaced, book) for source in sources]
    if [k for k, _ in found] != wanted:
        raise BadInput("retire: the new holders are not in their order")
    if any(done.epoch_hash != successor.body.hash for _, done in found):
        raise BadInput("retire: a new holder has a share of another successor")


def is_vote(source: bytes) -> bool:
    """Whether a DONE is that of a holder that adopts, and not of one to whom a resharing deals."""
    return parse_envelope(source).kind is ADOPTION


def adoption_in(source: bytes, replaced: Replaced, keys: KeyBook) -> Done:
    """What a holder said in a DONE (M7) about a successor of `replaced`.

    Raises:
        BadInput, InvalidSignature: it is no DONE of a holder in an attempt to replace that epoch.
    """
    message = parse_envelope(source)
    done = Done.from_bytes(message.payload, replaced.terms.group)
    expected = expected_in(ADOPTION, replaced, done.attempt, range(1, replaced.terms.sizes.n + 1))
    signed_by_identity(source, expected, keys)
    return done
