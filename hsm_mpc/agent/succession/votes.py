"""What a register may promise and vote next (section 6.5). Pure: its user writes it first.

An attempt is compared as its 10 bytes, which are a big-endian number.
"""

from __future__ import annotations

from dataclasses import replace

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.errors import Refused
from hsm_mpc.hsm.register import Register, Vote
from hsm_mpc.ids import EpochHash


def promise(register: Register, attempt: Attempt) -> Register:
    """After JOIN: no ACK and no DONE for any attempt below (step 6.5.1).

    Raises:
        Refused: `attempt-overtaken`.
    """
    alpha = attempt.to_bytes()
    if alpha <= register.promised:
        raise _overtaken("an attempt as high as this one was joined before")
    return replace(register, promised=alpha)


def acknowledge(register: Register, attempt: Attempt, successor: EpochHash) -> Register:
    """Before ACK: only in the attempt that was promised, and for one successor (step 6.5.3).

    Raises:
        Refused: `attempt-overtaken` or `other-vote`.
    """
    if attempt.to_bytes() != register.promised:
        raise _overtaken("another attempt than this one was joined last")
    _require_same(register.acked, attempt, successor)
    return replace(register, acked=Vote(register.promised, successor))


def adopt(register: Register, attempt: Attempt, successor: EpochHash) -> Register:
    """Before DONE: in no attempt below the promise, and for one successor in each (step 6.5.5). The
    vote that the register has is no new one: a disk that was put back wants what belongs to it.

    Raises:
        Refused: `attempt-overtaken`, `other-vote` or `other-order`.
    """
    _require_no_other_order(register, successor)
    alpha = attempt.to_bytes()
    if register.adopted == Vote(alpha, successor):
        return register
    if alpha < register.promised:
        raise _overtaken("a higher attempt than this one was joined")
    _require_same(register.adopted, attempt, successor)
    return replace(register, promised=alpha, adopted=Vote(alpha, successor))


def obey(register: Register, attempt: Attempt, successor: EpochHash) -> Register:
    """Before a RETIRE by an order: also above the promise, and not against an own adoption in this
    attempt or a later one (step 6.5.9). A later adoption of the same successor stays.

    Raises:
        Refused: `other-vote` or `other-order`.
    """
    alpha, adopted = attempt.to_bytes(), register.adopted
    _require_no_other_order(register, successor)
    if adopted is not None and adopted.attempt >= alpha:
        if adopted.epoch_hash != successor:
            raise Refused("other-vote", "this holder has adopted another successor, and not before")
        return replace(register, order=successor)
    promised = max(register.promised, alpha)
    return replace(register, promised=promised, adopted=Vote(alpha, successor), order=successor)


def order(register: Register, successor: EpochHash) -> Register:
    """Before an order is signed where holders are the administrators: none for another successor,
    and only for what was adopted last (step 6.5.9).

    Raises:
        Refused: `not-adopted` or `other-order`.
    """
    _require_no_other_order(register, successor)
    if register.adopted is None or register.adopted.epoch_hash != successor:
        raise Refused("not-adopted", "this holder has not adopted that successor")
    return replace(register, order=successor)


def _require_no_other_order(register: Register, successor: EpochHash) -> None:
    if register.order not in (None, successor):
        raise Refused("other-order", "another successor was ordered here in place of that epoch")


def _require_same(vote: Vote | None, attempt: Attempt, successor: EpochHash) -> None:
    if vote is not None and vote.attempt == attempt.to_bytes() and vote.epoch_hash != successor:
        raise Refused("other-vote", "another successor has this holder's vote in this attempt")


def _overtaken(why: str) -> Refused:
    return Refused("attempt-overtaken", f"this attempt is over here: {why}")
