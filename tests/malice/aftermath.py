"""What an attack left at a holder."""

from __future__ import annotations

from hsm_mpc.agent.evidence import Case
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.cryptoki import Attribute
from hsm_mpc.hsm.keys import WRAPPING_LABEL_PREFIX
from tests.agent.making import lines
from tests.agent.simulate import Party


def leaves_nothing(party: Party, proposal: Proposal) -> bool:
    """No key, no register, no share, no key generation of this wallet (step 2.6.2)."""
    acting, wallet_id = party.acting, proposal.terms.wallet_id
    label = WRAPPING_LABEL_PREFIX + wallet_id.hex()
    return (
        not objects.matching(acting.token, {Attribute.LABEL: label.encode()})
        and acting.registers.read(wallet_id) is None
        and party.wallets.of(wallet_id) == ()
        and proposal.hash not in acting.store.proposals.hashes()
    )


def evidence_kept(party: Party, refused: Exception) -> bool:
    """Where it names somebody: the last line in the audit log names a case that proves it."""
    if not isinstance(refused, ProtocolAbort) or not refused.culprits:
        return False
    name = lines(party)[-1].get("evidence")
    return bool(name and Case.from_bytes(party.acting.store.evidence.load(str(name))).messages)
