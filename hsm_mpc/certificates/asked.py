"""What a client asked for, against what it is shown as its wallet (step 2.6.1)."""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.clients import Client, ClientList
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.errors import Tampered
from hsm_mpc.ids import Scheme
from hsm_mpc.roster import FIRST_PREDECESSOR


@dataclass(frozen=True, slots=True)
class Asked:
    """A wallet as its client wants it. The wallet's id is the coordinator's to draw."""

    name: str
    scheme: Scheme
    sizes: QuorumSizes
    roster_hash: bytes
    policy_hash: bytes
    clients: tuple[Client, ...]

    def check(self, certificate: Certificate) -> None:
        """The certificate (verified before) is of the wallet that was asked for.

        Raises:
            Tampered: any field differs: it is another wallet's.
        """
        wallet_id = certificate.body.terms.wallet_id
        wanted = WalletTerms(
            wallet_id, self.name, self.scheme, self.sizes, self.roster_hash, self.policy_hash
        )
        clients = ClientList(wallet_id, 1, FIRST_PREDECESSOR, self.clients)
        if certificate.body.terms != wanted or certificate.extension.clients_hash != clients.hash:
            raise Tampered(f"the certificate is not of the wallet {self.name!r} that was asked for")
