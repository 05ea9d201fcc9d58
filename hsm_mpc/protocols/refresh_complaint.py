"""A complaint about a dealer's delta, and who lied (step 6.4.8)."""

from __future__ import annotations

from hsm_mpc.errors import BadInput
from hsm_mpc.groups.sharing import DrawScalars, require_index
from hsm_mpc.protocols.complaint import Complaint
from hsm_mpc.protocols.dealing_checks import blame_unproven
from hsm_mpc.protocols.dealing_complaint import complain_of_dealing, is_true_of_dealing
from hsm_mpc.protocols.epoch_session import require_own_key
from hsm_mpc.protocols.refresh_messages import RefreshSetup, ZeroDealing
from hsm_mpc.protocols.rounds import Faults
from hsm_mpc.secure.arena import Arena, Secret


def accuse(
    setup: RefreshSetup,
    me: int,
    delivery: Secret,
    dealer: int,
    dealing: ZeroDealing,
    draw: DrawScalars,
) -> Complaint:
    """The proof that `dealer` sealed a false delta for holder `me`, whose v is `delivery`.

    Nothing is revealed of a delta that is sound, nor where the signed dealing is proof enough.

    Args:
        dealing: as the dealer signed it.
        draw: the nonce of the proof.

    Raises:
        BadInput: there is nothing to complain of; no such dealer, or it is `me`.
        ProtocolAbort: `delivery` is not v of holder `me`, or a value is degenerate; no culprit.
    """
    _require_dealer(setup, me, dealer)
    blame_unproven(setup, {dealer: dealing}, (), public := Faults())
    with delivery.arena.open():
        require_own_key(setup, me, delivery)
        return complain_of_dealing(setup, me, delivery, dealer, dealing, public, draw)


def judge(
    setup: RefreshSetup,
    accuser: int,
    complaint: Complaint,
    dealing: ZeroDealing,
    arena: Arena,
) -> int:
    """Who lied: the accused dealer, or the accuser. Everybody comes to the same answer.

    Args:
        dealing: as the accused dealer signed it.
        arena: where the ciphertext is opened.

    Raises:
        BadInput: no such accuser or dealer, or they are one.
    """
    dealer = complaint.accused
    _require_dealer(setup, accuser, dealer)
    lied = is_true_of_dealing(setup, accuser, complaint, dealing, arena)
    return dealer if lied else accuser


def _require_dealer(setup: RefreshSetup, accuser: int, dealer: int) -> None:
    require_index(accuser, setup.holders)
    if dealer not in setup.dealers or dealer == accuser:
        raise BadInput(f"holder {accuser} complains of holder {dealer}")
