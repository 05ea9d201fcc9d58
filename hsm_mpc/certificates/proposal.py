"""PROPOSAL: what the initiator of a key generation asks of the holders (step 2.6.1)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import (
    PROTOCOL_VERSION,
    WalletTerms,
    read_scheme,
    read_version,
    wallet_id_of,
)
from hsm_mpc.encoding import Reader, decoding, lv16, lv32, u8, u64be
from hsm_mpc.errors import BadEncoding, BadInput, Refused
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import Scheme, WalletId
from hsm_mpc.roster import Roster, check_among, read_name
from hsm_mpc.tags import Tag, tagged_hash


@dataclass(frozen=True, slots=True)
class Proposal:
    """A wallet to be made. `deadline` is in seconds since 1970 UTC and bounds the consents.

    Raises:
        BadInput: from the constructor: sizes that are not of this roster or against 1.2.3, a
            client list that is not version 1 of this wallet, a nonce or hash of another length.
    """

    nonce: bytes
    name: str
    scheme: Scheme
    sizes: QuorumSizes
    roster: Roster
    policy_hash: bytes
    clients: ClientList
    deadline: int

    def __post_init__(self) -> None:
        self.sizes.check_policy(self.scheme)
        if self.sizes.n != self.roster.n:
            raise BadInput(f"proposal: sizes for {self.sizes.n} of {self.roster.n} holders")
        if (self.clients.wallet_id, self.clients.version) != (self.terms.wallet_id, 1):
            raise BadInput("proposal: the client list is not version 1 of this wallet's")

    @property
    def terms(self) -> WalletTerms:
        """What the certificate will say, wallet_id derived from name and nonce."""
        return WalletTerms(
            wallet_id_of(self.name, self.nonce),
            self.name,
            self.scheme,
            self.sizes,
            self.roster.hash,
            self.policy_hash,
        )

    @property
    def hash(self) -> bytes:
        """ph, 32 bytes: session_id of the HELLOs, and what names KEK_0."""
        return tagged_hash(Tag.PROPOSAL, self.to_bytes())

    def check_roster(self, own_key: VerifyingKey, pinned: Roster) -> None:
        """Its holders are those of the pinned roster, or some of them, and one has `own_key`.

        Raises:
            Refused: `roster-not-pinned` or `not-a-member`.
        """
        try:
            check_among(self.roster, pinned)
        except BadInput as foreign:
            raise Refused("roster-not-pinned", f"the proposal has {foreign}") from foreign
        if all(member.key != own_key for member in self.roster.members):
            raise Refused("not-a-member", "this holder's identity key is not in the roster")

    def check_lab_clients(self, configured: Collection[VerifyingKey]) -> None:
        """A lab holder consents by itself only to clients of its own configuration.

        Raises:
            Refused: `unknown-client`.
        """
        for client in self.clients.clients:
            if client.key not in configured:
                raise Refused("unknown-client", f"client {client.name} is not in the configuration")

    def to_bytes(self) -> bytes:
        """`PROPOSAL`."""
        return (
            u8(PROTOCOL_VERSION)
            + self.nonce
            + lv16(self.name.encode("ascii"))
            + self.terms.wallet_id
            + u8(self.scheme)
            + self.sizes.without_n()
            + lv32(self.roster.to_bytes())
            + self.policy_hash
            + lv32(self.clients.to_bytes())
            + u64be(self.deadline)
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> Proposal:
        """Inverse of `to_bytes`; `BadEncoding` for anything else, a foreign wallet_id included."""
        reader = Reader(source, "proposal")
        read_version(reader, "proposal")
        nonce, name = reader.take(32), read_name(reader, "wallet")
        wallet_id, scheme = WalletId(reader.take(16)), read_scheme(reader)
        t, join, adopt = reader.u16be(), reader.u16be(), reader.u16be()
        roster = Roster.from_bytes(reader.lv32())
        policy_hash = reader.take(32)
        clients = ClientList.from_bytes(reader.lv32())
        deadline = reader.u64be()
        reader.end()
        if wallet_id != wallet_id_of(name, nonce):
            raise BadEncoding("proposal: wallet_id is not that of name and nonce")
        with decoding("proposal"):
            sizes = QuorumSizes(roster.n, t, join, adopt)
            return cls(nonce, name, scheme, sizes, roster, policy_hash, clients, deadline)
