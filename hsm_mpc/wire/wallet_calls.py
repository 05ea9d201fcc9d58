"""What clients and coordinators say to each other, as parts of calls. Nothing here is believed:
the client verifies what comes back under the roster that it pinned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.certificates.clients import Client
from hsm_mpc.encoding import Reader, lv16, u8, u16be
from hsm_mpc.errors import BadEncoding
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import Scheme
from hsm_mpc.roster import read_name


@dataclass(frozen=True, slots=True)
class Wish:
    """A wallet that a client wants made. The policy file travels beside it."""

    name: str
    scheme: Scheme
    threshold: int
    clients: tuple[Client, ...]

    def to_bytes(self) -> bytes:
        """`LV16(name) ‖ u8(scheme) ‖ u16be(t) ‖ u16be(count) ‖ Σ client`."""
        return (
            lv16(self.name.encode("ascii"))
            + u8(self.scheme)
            + u16be(self.threshold)
            + u16be(len(self.clients))
            + b"".join(client.to_bytes() for client in self.clients)
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
        reader.end()
        try:
            return cls(name, Scheme(number), threshold, clients)
        except ValueError as unknown:
            raise BadEncoding(f"wish: scheme {number} is unknown") from unknown


@dataclass(frozen=True, slots=True)
class Shown:
    """A wallet as a coordinator shows it: certificate and the DONE messages of all holders."""

    certificate: bytes
    dones: tuple[bytes, ...]

    def to_parts(self) -> tuple[bytes, ...]:
        """`certificate, DONE_1, …, DONE_n`."""
        return (self.certificate, *self.dones)

    @classmethod
    def from_parts(cls, parts: Sequence[bytes]) -> Shown:
        """Inverse of `to_parts`; `BadEncoding` if there is nothing."""
        if not parts:
            raise BadEncoding("no wallet in the answer")
        return cls(parts[0], tuple(parts[1:]))


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
