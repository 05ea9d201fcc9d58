"""What clients and coordinators say to each other, as parts of calls. Nothing here is believed:
the client verifies what comes back under the roster that it pinned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hsm_mpc.certificates.clients import Client
from hsm_mpc.encoding import Reader, lv16, u8, u16be
from hsm_mpc.errors import BadEncoding
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import Scheme
from hsm_mpc.roster import read_name
from hsm_mpc.wire.envelope import bundle, unbundled


@dataclass(frozen=True, slots=True)
class Wish:
    """A wallet that a client wants made. The policy file travels beside it."""

    name: str
    scheme: Scheme
    threshold: int
    clients: tuple[Client, ...]
    holders: tuple[int, ...] = ()
    """Their places in the pinned roster; none: all."""

    def to_bytes(self) -> bytes:
        """`LV16(name) ‖ u8(scheme) ‖ u16be(t) ‖ u16be(count) ‖ Σ client ‖ LV16(holders)`."""
        return (
            lv16(self.name.encode("ascii"))
            + u8(self.scheme)
            + u16be(self.threshold)
            + u16be(len(self.clients))
            + b"".join(client.to_bytes() for client in self.clients)
            + lv16(indices_to_bytes(self.holders))
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> Wish:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "wish")
        name, number, threshold = read_name(reader, "wallet"), reader.u8(), reader.u16be()
        clients = tuple(
            Client(read_name(reader, "client"), VerifyingKey.read(reader))
            for _ in range(reader.u16be())
        )
        holders = indices_from_bytes(reader.lv16())
        reader.end()
        try:
            return cls(name, Scheme(number), threshold, clients, holders)
        except ValueError as unknown:
            raise BadEncoding(f"wish: scheme {number} is unknown") from unknown


@dataclass(frozen=True, slots=True)
class ShownSuccession:
    """How an epoch came to replace the one before: of the newest that a quorum has adopted, or of
    each in a chain.
    """

    PARTS: ClassVar[int] = 4

    certificate: bytes
    """Payload of its CERT."""
    dones: tuple[bytes, ...]
    """DONE of each holder that has adopted it, ascending."""
    retirement: bytes
    """Payload of RETIRE of the epoch before; empty: it still signs, too."""
    destroyed: tuple[bytes, ...]
    """DESTROYED of each holder whose key of the epoch before is gone, ascending."""

    def to_parts(self) -> tuple[bytes, ...]:
        """Four parts."""
        return self.certificate, bundle(self.dones), self.retirement, bundle(self.destroyed)

    @classmethod
    def from_parts(cls, parts: Sequence[bytes]) -> ShownSuccession:
        """Inverse of `to_parts`; `BadEncoding` for anything else."""
        if len(parts) != cls.PARTS:
            raise BadEncoding(f"a succession in {len(parts)} parts")
        return cls(parts[0], unbundled(parts[1]), parts[2], unbundled(parts[3]))


@dataclass(frozen=True, slots=True)
class Shown:
    """A wallet as a coordinator shows it: what certifies its key, and its newest epoch."""

    certificate: bytes
    """Of the key generation."""
    dones: tuple[bytes, ...]
    """DONE of every holder in it, in roster order."""
    destroyed: tuple[bytes, ...] = ()
    """DESTROYED of each holder that has destroyed all its keys of this wallet, ascending."""
    succession: ShownSuccession | None = None
    lineage: bytes = b""
    """What made the roster in force of the first one (`succession.lineage`)."""

    def to_parts(self) -> tuple[bytes, ...]:
        """Four parts, or eight."""
        newer = () if self.succession is None else self.succession.to_parts()
        said = bundle(self.dones), bundle(self.destroyed)
        return self.certificate, *said, self.lineage, *newer

    @classmethod
    def from_parts(cls, parts: Sequence[bytes]) -> Shown:
        """Inverse of `to_parts`; `BadEncoding` for anything else."""
        if len(parts) < 4:
            raise BadEncoding(f"a wallet in {len(parts)} parts")
        dones, destroyed = map(unbundled, parts[1:3])
        newer = ShownSuccession.from_parts(parts[4:]) if len(parts) > 4 else None
        return cls(parts[0], dones, destroyed, newer, parts[3])


@dataclass(frozen=True, slots=True)
class Chain:
    """All that shows how a wallet's epochs followed each other, in one file."""

    certificate: bytes
    """Of the key generation."""
    dones: tuple[bytes, ...]
    """DONE of every holder in it, in roster order."""
    successions: tuple[ShownSuccession, ...]
    """Of epoch 1 and those after it."""
    lineage: bytes = b""
    """What made the roster in force of the first one (`succession.lineage`)."""

    def to_bytes(self) -> bytes:
        """`LV32(certificate) ‖ LV32(DONEs) ‖ LV32(lineage)`, then four LV32 of each succession."""
        first = [self.certificate, bundle(self.dones), self.lineage]
        return bundle([*first, *successions_to_parts(self.successions)])

    @classmethod
    def from_bytes(cls, source: bytes) -> Chain:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        parts = unbundled(source)
        if len(parts) < 3:
            raise BadEncoding(f"a chain in {len(parts)} parts")
        return cls(parts[0], unbundled(parts[1]), successions_from_parts(parts[3:]), parts[2])


def successions_to_parts(successions: Sequence[ShownSuccession]) -> tuple[bytes, ...]:
    """Successions one behind another, four parts each."""
    return tuple(part for each in successions for part in each.to_parts())


def successions_from_parts(parts: Sequence[bytes]) -> tuple[ShownSuccession, ...]:
    """Inverse of `successions_to_parts`; `BadEncoding` for anything else."""
    width = ShownSuccession.PARTS
    return tuple(
        ShownSuccession.from_parts(parts[at : at + width]) for at in range(0, len(parts), width)
    )


def indices_to_bytes(indices: Sequence[int]) -> bytes:
    """Holders, two bytes each."""
    return b"".join(u16be(index) for index in indices)


def indices_from_bytes(source: bytes) -> tuple[int, ...]:
    """Inverse of `indices_to_bytes`; `BadEncoding` for half an index."""
    reader = Reader(source, "holders")
    indices = []
    while reader.consumed < len(source):
        indices.append(reader.u16be())
    return tuple(indices)
