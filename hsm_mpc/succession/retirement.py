"""RETIRE (M8): so many holders have adopted one successor that the epoch before may go for good.

    u8(0) ‖ u16be(count) ‖ Σ LV32(DONE message)
    u8(2) ‖ the same ‖ u16be(n') ‖ Σ LV32(DONE' message)

of distinct holders, ascending, all for the same successor in the same attempt; of a resharing
besides the DONE of every new holder, of whichever attempt: it says that there is a share, and is no
vote (step 6.8.4). It proves itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.done import Done
from hsm_mpc.encoding import Reader, lv32, u8, u16be
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups.sharing import require_ascending
from hsm_mpc.ids import EpochHash
from hsm_mpc.succession.addresses import Replaced, expected_in, signed_by_identity
from hsm_mpc.succession.newcomers import arrival_in
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import ADOPTION

_BY_ADOPTIONS = 0
_BY_ARRIVALS = 2


@dataclass(frozen=True, slots=True)
class Retired:
    """A RETIRE that holds: which epoch goes, and for the sake of which."""

    attempt: Attempt
    successor: EpochHash
    adopters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Retirement:
    """Payload of RETIRE. Whether it holds, only `check` tells."""

    dones: tuple[bytes, ...]
    arrivals: tuple[bytes, ...] = ()
    """DONE of every new holder of a resharing, in the order of the new roster."""

    def to_bytes(self) -> bytes:
        """The payload."""
        form = _BY_ARRIVALS if self.arrivals else _BY_ADOPTIONS
        arrivals = _list(self.arrivals) if self.arrivals else b""
        return u8(form) + _list(self.dones) + arrivals

    @classmethod
    def from_bytes(cls, source: bytes) -> Retirement:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "retire")
        form = reader.u8()
        if form not in (_BY_ADOPTIONS, _BY_ARRIVALS):
            raise BadEncoding("retire: it is of an unknown form")
        dones = _read_list(reader)
        arrivals = _read_list(reader) if form == _BY_ARRIVALS else ()
        reader.end()
        if form == _BY_ARRIVALS and not arrivals:
            raise BadEncoding("retire: a resharing to nobody")
        return cls(dones, arrivals)

    def successor_in(self, replaced: Replaced) -> EpochHash:
        """For the sake of which epoch, as the first DONE says; nothing is checked yet.

        Raises:
            BadInput: no DONE says so.
        """
        if not self.dones:
            raise BadInput("retire: nobody has adopted anything")
        payload = parse_envelope(self.dones[0]).payload
        return Done.from_bytes(payload, replaced.terms.group).epoch_hash

    def check(self, replaced: Replaced, keys: KeyBook, successor: SuccessorCertificate) -> Retired:
        """W holders have adopted this successor of `replaced`, and to whom it is shared anew, they
        have their shares (steps 6.5.7 and 6.8.4).

        Args:
            keys: `Lineage.voters`.

        Raises:
            BadInput, InvalidSignature: it is not so.
        """
        sizes = replaced.terms.sizes
        dones = [adoption_in(source, replaced, keys) for source in self.dones]
        adopters = [parse_envelope(source).address.sender for source in self.dones]
        require_ascending(adopters, sizes.n)
        if len(dones) < sizes.adopt:
            raise BadInput(f"retire: {len(dones)} holders adopted, {sizes.adopt} are wanted")
        first = dones[0]
        if any((d.attempt, d.epoch_hash) != (first.attempt, first.epoch_hash) for d in dones):
            raise BadInput("retire: not all adopted the same successor in the same attempt")
        if first.epoch_hash != successor.body.hash:
            raise BadInput("retire: another successor was adopted")
        _check_arrivals(self.arrivals, replaced, keys, successor)
        return Retired(first.attempt, first.epoch_hash, tuple(adopters))


def _check_arrivals(
    sources: Sequence[bytes], replaced: Replaced, keys: KeyBook, successor: SuccessorCertificate
) -> None:
    """Every new holder has its share, and nobody else says so."""
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


def _list(messages: Sequence[bytes]) -> bytes:
    return u16be(len(messages)) + b"".join(lv32(message) for message in messages)


def _read_list(reader: Reader) -> tuple[bytes, ...]:
    return tuple(reader.lv32() for _ in range(reader.u16be()))


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
