"""The newest epoch of a wallet, believed without those between it and the first one.

They are not looked at: J holders have seen them, of whom at least one is honest (step 6.1.3), and
their HSMs signed for this body.
"""

from __future__ import annotations

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.succession.addresses import Predecessor
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.propose import Proposed
from hsm_mpc.succession.successor import SuccessorCertificate


def verify_newest(
    certificate: SuccessorCertificate, first: EpochBody, lineage: Lineage
) -> Proposed:
    """That it certifies shares of the same key as `first`, the wallet's first epoch.

    Args:
        lineage: every roster of the wallet.

    Raises:
        Tampered: it does not.
    """
    body = certificate.body
    try:
        stage = lineage.before(certificate)
    except BadInput as foreign:
        raise Tampered(f"certificate: {foreign}") from foreign
    if lineage.stages[0].terms != first.terms:
        raise Tampered("certificate: the wallet began with other terms")
    if body.group_key != first.group_key:
        raise Tampered("certificate: it changes the public key")
    return certificate.verify_messages(Predecessor(stage.terms, body.prev_hash), stage.book)
