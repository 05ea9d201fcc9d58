"""Who may ask a wallet for signatures: a list beside the certified policy (step 1.6.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from hsm_mpc.encoding import Reader, decoding, lv16, u16be, u32be
from hsm_mpc.errors import BadInput, Refused
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import WalletId, checked_name
from hsm_mpc.roster import FIRST_PREDECESSOR, read_name
from hsm_mpc.tags import Tag, tagged_hash


@dataclass(frozen=True, slots=True)
class Client:
    """One client: its name, and the key that signs its requests."""

    name: str
    key: VerifyingKey

    def to_bytes(self) -> bytes:
        """`LV16(name) ‖ u8(alg) ‖ LV16(request key)`."""
        return lv16(self.name.encode("ascii")) + self.key.to_bytes()


@dataclass(frozen=True, slots=True)
class ClientList:
    """`CLIENTS`, one version of a wallet's client list.

    Raises:
        BadInput: from the constructor: a name or key twice, a bad name, or a first version with a
            predecessor (a later one without).
    """

    wallet_id: WalletId
    version: int
    predecessor: bytes
    clients: tuple[Client, ...]

    def __post_init__(self) -> None:
        names = {checked_name(client.name, "client") for client in self.clients}
        if len(names) != len(self.clients):
            raise BadInput("two clients of the list have one name")
        if len({client.key for client in self.clients}) != len(self.clients):
            raise BadInput("two clients of the list have one key")
        if len(self.wallet_id) != 16 or len(self.predecessor) != 32 or self.version < 1:
            raise BadInput("a client list names a wallet, a version from 1 on and a hash")
        if (self.version == 1) != (self.predecessor == FIRST_PREDECESSOR):
            raise BadInput("a client list names a predecessor exactly if it is not version 1")

    @property
    def hash(self) -> bytes:
        """`clients_hash`, 32 bytes."""
        return tagged_hash(Tag.CLIENTS, self.to_bytes())

    def client_of(self, key: VerifyingKey) -> Client:
        """Who signs with `key`.

        Raises:
            Refused: `unknown-client`.
        """
        for client in self.clients:
            if client.key == key:
                return client
        raise Refused("unknown-client", "the request key is not in the wallet's client list")

    def check_succeeds(self, pinned: Self) -> None:
        """This list may take the place of the `pinned` one.

        Raises:
            Refused: `client-list-old` for a version at or below the pinned one, `client-list-gap`
                if it does not follow the pinned list by version and hash, or is another wallet's.
        """
        if self.version <= pinned.version:
            raise Refused(
                "client-list-old",
                f"client list version {self.version}: version {pinned.version} is pinned",
            )
        follows = self.version == pinned.version + 1 and self.predecessor == pinned.hash
        if not follows or self.wallet_id != pinned.wallet_id:
            raise Refused(
                "client-list-gap",
                f"client list version {self.version} does not follow the pinned "
                f"version {pinned.version} by its hash",
            )

    def to_bytes(self) -> bytes:
        """`CLIENTS`."""
        head = self.wallet_id + u32be(self.version) + self.predecessor + u16be(len(self.clients))
        return head + b"".join(client.to_bytes() for client in self.clients)

    @classmethod
    def from_bytes(cls, source: bytes) -> ClientList:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "client list")
        wallet_id = WalletId(reader.take(16))
        version = reader.u32be()
        predecessor = reader.take(32)
        clients = tuple(
            Client(read_name(reader, "client"), VerifyingKey.read(reader))
            for _ in range(reader.u16be())
        )
        reader.end()
        with decoding("client list"):
            return cls(wallet_id, version, predecessor, clients)
