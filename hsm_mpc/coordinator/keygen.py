"""Key generation at the relay: it carries signed messages and sees no secret (section 2.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.coordinator.certifying import assemble
from hsm_mpc.coordinator.consents import require_consented
from hsm_mpc.coordinator.evidence import EvidenceFolder, NoCertificate
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.errors import BadEncoding, ProtocolAbort, Tampered
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import Roster
from hsm_mpc.tags import Tag
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.envelope import Address, seal_envelope
from hsm_mpc.wire.rounds import CERTIFICATE, EVERYBODY, PROPOSAL, Key, MessageKind

_NO_SESSION: Final = bytes(32)
_NO_EPOCH: Final = EpochHash(bytes(32))

CoSign = Callable[[Tag, bytes], bytes]
"""`CoSign_c(tag, message)` (step 1.6.10)."""


@dataclass(frozen=True, slots=True)
class Relay:
    """The coordinator's side of a key generation. `number` is its own, from 0x8000 on."""

    links: HolderLinks
    number: int
    sign: CoSign
    evidence: EvidenceFolder

    def seated(self, roster: Roster) -> Relay:
        """The same, to the holders of one wallet, by their places in its roster."""
        return replace(self, links=self.links.seated(roster))

    def require_consents(self, proposal: Proposal, policy_file: bytes) -> None:
        """Ask every holder whether it would take part; may be repeated (step 1.6.7).

        Raises:
            NotReady: the operators of some have not consented yet; it names these holders.
            Refused, NameTaken, BackendError: as `certificate`.
        """
        message = self._said(PROPOSAL, proposal.terms.wallet_id, _NO_SESSION, proposal.to_bytes())
        answers = self.links.ask_single(
            self.links.indices, HolderMethod.CONSIDER, [message, policy_file]
        )
        require_consented(self.links, Plan.of(proposal), answers)

    def certificate(self, proposal: Proposal, policy_file: bytes) -> Certificate:
        """All rounds up to the certificate, each with all holders at once.

        Raises:
            ProtocolAbort: a holder names who cheated; or the messages make no certificate, which
                names nobody (step 2.5.12).
            Refused, NameTaken: a holder does not take part.
            BackendError: a holder does not answer; which one is said.
        """
        wallet_id = proposal.terms.wallet_id
        self._round(HolderMethod.CHANNEL, [])  # who has said HELLO keeps the name for a while
        message = self._said(PROPOSAL, wallet_id, _NO_SESSION, proposal.to_bytes())
        hellos = self._round(HolderMethod.PROPOSE, [message, policy_file])
        dealings = self._round(HolderMethod.HELLOS, hellos)
        channels = self._round(HolderMethod.CHANNEL, [])
        confirmations = self._round(HolderMethod.COMMITMENTS, [*dealings, *channels])
        try:
            certificate = assemble(proposal, hellos, dealings, confirmations)
            certificate.verify(self.links.roster)
        except (BadEncoding, ProtocolAbort, Tampered) as broken:
            messages = (*channels, *dealings, *confirmations)
            self.evidence.keep(NoCertificate(proposal.name, str(broken), messages))
            raise ProtocolAbort(
                f"the key generation of {proposal.name!r} made no certificate: {broken}; "
                "its messages are kept as evidence, and name nobody"
            ) from broken
        return certificate

    def confirm(self, certificate: Certificate) -> tuple[bytes, ...]:
        """CERT to all, their DONEs to all: the wallet is active. The DONEs, in roster order.

        May be repeated: holders answer with the same bytes.
        """
        dones = self._round(HolderMethod.CERTIFY, [self._certified(certificate)])
        self.links.ask_all(HolderMethod.DONES, dones)
        return tuple(dones)

    def remind(self, index: int, certificate: Certificate, dones: Sequence[bytes]) -> None:
        """CERT and DONEs to one holder that has missed them (step 2.6.8)."""
        message = self._certified(certificate)
        self.links.ask(index, HolderMethod.CERTIFY, [message])
        self.links.ask(index, HolderMethod.DONES, dones)

    def _certified(self, certificate: Certificate) -> bytes:
        terms, session_id = certificate.body.terms, certificate.extension.session_id
        return self._said(CERTIFICATE, terms.wallet_id, session_id, certificate.to_bytes())

    def _round(self, method: HolderMethod, parts: list[bytes]) -> list[bytes]:
        """One message of each holder, in roster order."""
        return list(self.links.ask_single(self.links.indices, method, parts).values())

    def _said(
        self, kind: MessageKind, wallet_id: WalletId, session_id: bytes, payload: bytes
    ) -> bytes:
        address = Address(wallet_id, session_id, _NO_EPOCH, self.number, EVERYBODY)
        return seal_envelope(kind, address, payload, Key.COORDINATOR, self.sign).to_bytes()
