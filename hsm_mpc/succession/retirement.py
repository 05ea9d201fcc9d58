"""RETIRE (M8): so many holders have adopted one successor that the epoch before may go for good.

    u8(0) ‖ u16be(count) ‖ Σ LV32(DONE message)

of distinct holders, ascending, all for the same successor in the same attempt. It proves itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.done import Done
from hsm_mpc.encoding import Reader, lv32, u8, u16be
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups.sharing import require_ascending
from hsm_mpc.ids import EpochHash
from hsm_mpc.succession.addresses import Replaced, expected_in, signed_by_identity
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import ADOPTION

_BY_ADOPTIONS = 0


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

    def to_bytes(self) -> bytes:
        """The payload."""
        messages = b"".join(lv32(done) for done in self.dones)
        return u8(_BY_ADOPTIONS) + u16be(len(self.dones)) + messages

    @classmethod
    def from_bytes(cls, source: bytes) -> Retirement:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "retire")
        if reader.u8() != _BY_ADOPTIONS:
            raise BadEncoding("retire: it is of an unknown form")
        retirement = cls(tuple(reader.lv32() for _ in range(reader.u16be())))
        reader.end()
        return retirement

    def successor_in(self, replaced: Replaced) -> EpochHash:
        """For the sake of which epoch, as the first DONE says; nothing is checked yet.

        Raises:
            BadInput: no DONE says so.
        """
        if not self.dones:
            raise BadInput("retire: nobody has adopted anything")
        payload = parse_envelope(self.dones[0]).payload
        return Done.from_bytes(payload, replaced.terms.group).epoch_hash

    def check(self, replaced: Replaced, keys: KeyBook) -> Retired:
        """W holders have adopted one successor of `replaced` (step 6.5.7).

        Args:
            keys: of the roster that the successor names, and those that have replaced them since.

        Raises:
            BadInput, InvalidSignature: they have not.
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
        return Retired(first.attempt, first.epoch_hash, tuple(adopters))


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
