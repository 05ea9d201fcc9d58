"""Complaints in a repair, and who lied (steps 6.7.5 and 6.7.6): of a helper about a delta that
another one sealed for it, of r about a sum.

What becomes public with a complaint: the share in one ciphertext of a proven cheat, and S^d of the
two holders. Other ciphertexts between them stay protected by their own S^e. The repair is dead: the
next one has another order, so that every helper draws new deltas, and r a new V_r.
"""

from __future__ import annotations

from hsm_mpc.errors import BadInput, InvalidSignature
from hsm_mpc.groups.sharing import DrawScalars
from hsm_mpc.protocols.complaint import Complaint, complain, is_true
from hsm_mpc.protocols.dealing_complaint import complain_of_dealing, is_true_of_dealing
from hsm_mpc.protocols.epoch_session import require_own_key
from hsm_mpc.protocols.repair_checks import Splits, blame_unsound, sum_in
from hsm_mpc.protocols.repair_messages import (
    RepairSetup,
    Split,
    Summed,
    require_helper,
    verify_summed,
)
from hsm_mpc.protocols.rounds import Faults
from hsm_mpc.secure.arena import Arena, Secret


def accuse_of_delta(
    setup: RepairSetup, me: int, delivery: Secret, helper: int, split: Split, draw: DrawScalars
) -> Complaint:
    """The proof that `helper` sealed a false delta for helper `me`, whose v is `delivery`.

    Nothing is revealed of a delta that is sound, nor where the signed message is proof enough.

    Args:
        split: R1 as `helper` signed it.
        draw: the nonce of the proof.

    Raises:
        BadInput: there is nothing to complain of; one of the two is no helper, or they are one.
        ProtocolAbort: `delivery` is not v of holder `me`, or a value is degenerate; no culprit.
    """
    _require_two_helpers(setup, me, helper)
    blame_unsound(setup, {helper: split}, (), public := Faults())
    with delivery.arena.open():
        require_own_key(setup, me, delivery)
        return complain_of_dealing(setup, me, delivery, helper, split, public, draw)


def judge_delta(
    setup: RepairSetup, accuser: int, complaint: Complaint, split: Split, arena: Arena
) -> int:
    """Who lied: the accused helper, or the accuser. Everybody comes to the same answer.

    Args:
        split: R1 as the accused helper signed it.
        arena: where the ciphertext is opened.

    Raises:
        BadInput: one of the two is no helper, or they are one.
    """
    helper = complaint.accused
    _require_two_helpers(setup, accuser, helper)
    lied = is_true_of_dealing(setup, accuser, complaint, split, arena)
    return helper if lied else accuser


def accuse_of_sum(
    splits: Splits, delivery: Secret, helper: int, summed: Summed, draw: DrawScalars
) -> Complaint:
    """The proof that `helper` sealed a false sum for holder r, whose new v is `delivery`.

    Nothing is revealed of a sum that is sound, nor where the signed message is proof enough.

    Args:
        summed: R2 as `helper` signed it.
        draw: the nonce of the proof.

    Raises:
        BadInput: there is nothing to complain of; `helper` is none, or added up other messages
            than `splits`: before those are compared nobody knows who lied.
        ProtocolAbort: `delivery` is not v_r, or a value is degenerate; no culprit.
    """
    setup = splits.setup
    _require_same_splits(splits, helper, summed)
    try:
        verify_summed(setup, helper, summed)
    except InvalidSignature as unproven:
        raise BadInput(f"the sum of holder {helper} is proof enough") from unproven
    with delivery.arena.open():
        require_own_key(setup, setup.lost, delivery)
        sigma = sum_in(splits, helper, summed)
        return complain(setup.session, helper, sigma, delivery, draw)


def judge_sum(splits: Splits, complaint: Complaint, summed: Summed, arena: Arena) -> int:
    """Who lied: the accused helper, or r. Everybody comes to the same answer.

    Args:
        splits: R1 of all helpers.
        summed: R2 as the accused helper signed it.
        arena: where the ciphertext is opened.

    Raises:
        BadInput: the accused is no helper, or added up other messages than `splits`.
    """
    helper, setup = complaint.accused, splits.setup
    _require_same_splits(splits, helper, summed)
    sigma = sum_in(splits, helper, summed)
    return helper if is_true(setup.session, sigma, complaint, arena) else setup.lost


def _require_two_helpers(setup: RepairSetup, accuser: int, helper: int) -> None:
    require_helper(setup, accuser)
    require_helper(setup, helper)
    if accuser == helper:
        raise BadInput(f"holder {accuser} complains of itself")


def _require_same_splits(splits: Splits, helper: int, summed: Summed) -> None:
    require_helper(splits.setup, helper)
    if summed.digest != splits.digest:
        raise BadInput(f"holder {helper} added up other deltas than are here")
