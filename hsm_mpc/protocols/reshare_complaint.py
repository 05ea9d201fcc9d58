"""A complaint of a new holder about what an old one dealt to it, and who lied (step 6.8.3).

As in a refresh (step 6.4.8), but for the key of the accuser: V', which it showed for this attempt
alone. What becomes public is one share of a dealing that is out of use, of a proven cheat.
"""

from __future__ import annotations

from hsm_mpc.errors import BadInput
from hsm_mpc.groups.sharing import DrawScalars
from hsm_mpc.protocols.complaint import Complaint
from hsm_mpc.protocols.dealing_complaint import complain_of_dealing, is_true_of_dealing
from hsm_mpc.protocols.reshare import blame_unsound
from hsm_mpc.protocols.reshare_messages import (
    ReshareSetup,
    ShareDealing,
    require_own_new_key,
)
from hsm_mpc.protocols.rounds import Faults
from hsm_mpc.secure.arena import Arena, Secret


def accuse(
    setup: ReshareSetup,
    me: int,
    delivery: Secret,
    dealer: int,
    dealing: ShareDealing,
    draw: DrawScalars,
) -> Complaint:
    """The proof that `dealer` sealed a false share for new holder `me`, whose v' is `delivery`.

    Nothing is revealed of a share that is sound, nor where the signed dealing is proof enough.

    Args:
        dealer: an index of the old roster.
        dealing: as the dealer signed it.
        draw: the nonce of the proof.

    Raises:
        BadInput: there is nothing to complain of; no such dealer, or no such new holder.
        ProtocolAbort: `delivery` is not v' of new holder `me`, or a value is degenerate; no
            culprit.
    """
    _require_dealer(setup, dealer)
    blame_unsound(setup, {dealer: dealing}, public := Faults())
    with delivery.arena.open():
        require_own_new_key(setup, me, delivery)
        return complain_of_dealing(setup, me, delivery, dealer, dealing, public, draw)


def judge(
    setup: ReshareSetup,
    accuser: int,
    complaint: Complaint,
    dealing: ShareDealing,
    arena: Arena,
) -> bool:
    """Whether the accused dealer lied, else the accuser did. Everybody comes to the same answer.

    Not an index: that of the dealer counts in the old roster, that of the accuser in the new one.

    Args:
        accuser: an index of the new roster.
        dealing: as the accused dealer signed it.
        arena: where the ciphertext is opened.

    Raises:
        BadInput: no such new holder or dealer.
    """
    _require_dealer(setup, complaint.accused)
    return is_true_of_dealing(setup, accuser, complaint, dealing, arena)


def _require_dealer(setup: ReshareSetup, dealer: int) -> None:
    if dealer not in setup.dealers:
        raise BadInput(f"holder {dealer} has dealt nothing in a resharing")
