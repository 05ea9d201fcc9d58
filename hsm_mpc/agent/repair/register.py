"""The HSM's register of a wallet whose share is repaired (steps 6.2.1 and 6.6.1).

It names the epoch, or one before it: who had no share of the successor while others refreshed could
not take part in the end of that one. The proof of that end is on disk by now, and counts as if it
had come in time.
"""

from __future__ import annotations

from dataclasses import replace

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.succession import retiring
from hsm_mpc.agent.succession.dropping import destroy_all_but
from hsm_mpc.agent.succession.live import opened_share
from hsm_mpc.agent.wallets import body_of
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import Refused, Tampered
from hsm_mpc.hsm.register import Register
from hsm_mpc.roster import Roster
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import EpochRecord, EpochState
from hsm_mpc.succession.addresses import address_in
from hsm_mpc.succession.destroyed import Destroyed
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.wire.rounds import DESTROYED


def is_in_roster(holder: ActingHolder, body: EpochBody) -> bool:
    """Whether the wallet's roster has this holder with the identity key of its HSM; else its HSM
    is another one than it was when the wallet was made.
    """
    return _has_own_key(holder, holder.lineage_of(body).newest.roster)


def _has_own_key(holder: ActingHolder, roster: Roster) -> bool:
    return any(member.key == holder.identity.key for member in roster.members)


def require_registered(holder: ActingHolder, body: EpochBody, lineage: Lineage) -> None:
    """The HSM wins over what anybody tells: it knows this epoch, or one that has ended for it. One
    that the roster does not know has seen nothing, and takes what is proven.

    Args:
        lineage: every roster of the wallet, as far as it is proven.

    Raises:
        Refused: `unknown-wallet`; `other-epoch`; `epoch-retiring`: the end of that epoch is
            proven here.
        Tampered: the store is damaged.
    """
    register = holder.registers.read(body.terms.wallet_id)
    if register is None and not _has_own_key(holder, lineage.newest.roster):
        if body.epoch and retiring.retired_for(holder, _before(holder, body), lineage) != body.hash:
            raise Refused("other-epoch", "the epoch before that one is repaired first")
        return
    if register is None:
        raise Refused("unknown-wallet", "this holder's HSM knows no such wallet")
    if _is_undecided(holder, body, lineage):
        _require_share_before(holder, body)
    elif register.epoch_hash != body.hash:
        if not _is_ancestor(holder, register, body, lineage):
            raise Refused("other-epoch", "the epoch of that wallet in this HSM is another one")
    elif retiring.retired_for(holder, body, lineage) is not None:
        raise Refused("epoch-retiring", "the end of that epoch is decided here")


def is_undecided(holder: ActingHolder, body: EpochBody) -> bool:
    """Whether this is a successor of the epoch that the HSM names, whose end is not proven here."""
    return _is_undecided(holder, body, holder.lineage_of(body))


def is_lost(holder: ActingHolder, body: EpochBody) -> bool:
    """Whether the share of an epoch does not open here; or the store has no DONE of it, as an old
    disk that came back has none: the key v of what was said to others may be another one, and
    without DONE no epoch follows.

    Raises:
        BackendError: the HSM does not answer.
    """
    if holder.epochs(body.terms.wallet_id).kept(body.hash, EpochDocument.DONE) is None:
        return True
    try:
        with opened_share(holder, body):
            return False
    except Tampered:
        return True
    except Refused as refused:
        if refused.rule == "not-sealed":  # a repair was interrupted
            return True
        raise


def is_past(holder: ActingHolder, body: EpochBody) -> bool:
    """Whether the HSM names another epoch, whose place this one has not taken, and cannot take."""
    register, lineage = holder.registers.read(body.terms.wallet_id), holder.lineage_of(body)
    return not (_has_come(holder, register, body, lineage) or _is_undecided(holder, body, lineage))


def _is_undecided(holder: ActingHolder, body: EpochBody, lineage: Lineage) -> bool:
    register = holder.registers.read(body.terms.wallet_id)
    if register is None or body.epoch == 0 or register.epoch_hash != body.prev_hash:
        return False
    return retiring.retired_for(holder, _before(holder, body), lineage) is None


def _require_share_before(holder: ActingHolder, body: EpochBody) -> None:
    """This holder has a share of the epoch in which it votes. What it has adopted there changes by
    step 6.5.5 alone, and in a higher attempt it may be this successor (step 6.7.5).

    Raises:
        Refused: `other-epoch`.
    """
    records = holder.epochs(body.terms.wallet_id).records()
    if all(each.epoch_hash != body.prev_hash for each in records):
        raise Refused("other-epoch", "the epoch before that one is repaired first")


def catch_up(holder: ActingHolder, body: EpochBody) -> None:
    """The register names this epoch, whose share is sealed; of the one before no key is left, and
    DESTROYED of it is there for those who ask. Where that one lives still, it goes on to do so; and
    where it has ended for another successor meanwhile, nothing is done for this one.

    Raises:
        Tampered, BackendError: HSM or disk; to be called again.
    """
    wallet_id = body.terms.wallet_id
    epochs = holder.epochs(wallet_id)
    register = holder.registers.read(wallet_id)
    if not _has_come(holder, register, body, holder.lineage_of(body)):
        return
    is_behind = register is None or register.epoch_hash != body.hash
    if is_behind:
        destroy_all_but(holder, wallet_id, [epochs.record(body.hash)])
    if body.epoch and _was_in(holder, body):
        _say_destroyed(holder, body)
    if is_behind:
        holder.registers.write(wallet_id, Register(body.hash))
    for record in epochs.records():
        if record.epoch_hash != body.hash:
            _retire(epochs, record)
    retiring.settle(holder, wallet_id, Register(body.hash))


def _retire(epochs: Epochs, record: EpochRecord) -> None:
    """A first epoch may end without this holder having heard that all have confirmed it."""
    if record.state is EpochState.CERTIFIED:
        record = replace(record, state=EpochState.ACTIVE)
        epochs.change(record)
    if record.state is EpochState.ACTIVE:
        epochs.change(replace(record, state=EpochState.RETIRING))


def _has_come(
    holder: ActingHolder, register: Register | None, body: EpochBody, lineage: Lineage
) -> bool:
    """Whether the HSM names this epoch, or one that has ended for it; or nothing yet."""
    if register is None or register.epoch_hash == body.hash:
        return True
    return _is_ancestor(holder, register, body, lineage)


def _is_ancestor(
    holder: ActingHolder, register: Register, body: EpochBody, lineage: Lineage
) -> bool:
    """Whether the registered epoch has ended, step by step, for the sake of this one."""
    while body.epoch:
        before = _before(holder, body)
        if retiring.retired_for(holder, before, lineage) != body.hash:
            return False
        if register.epoch_hash == before.hash:
            return True
        body = before
    return False


def _before(holder: ActingHolder, body: EpochBody) -> EpochBody:
    encoded = holder.epochs(body.terms.wallet_id).kept(body.prev_hash, EpochDocument.BODY)
    return body_of(body.prev_hash, encoded or b"")


def _was_in(holder: ActingHolder, body: EpochBody) -> bool:
    """Whether this very HSM was there when the epoch was made, and had a share of the one before:
    maybe with the identity key before. Of keys that a lost one had, another one has nothing to say.
    """
    try:
        holder.at(_before(holder, body))
    except Refused:  # it came by a resharing
        return False
    lineage = holder.lineage_of(body)
    is_ours = _has_own_key(holder, lineage.newest.roster)
    return is_ours and holder.me not in lineage.lost_since(body.terms.roster_hash)


def _say_destroyed(holder: ActingHolder, body: EpochBody) -> None:
    """What this holder would have said, had the proof come in time."""
    epochs, h = holder.epochs(body.terms.wallet_id), body.prev_hash
    if epochs.kept(h, EpochDocument.DESTROYED) is not None:
        return
    before, proof = _before(holder, body), epochs.kept(h, EpochDocument.RETIREMENT) or b""
    try:
        me = holder.at(before).me
    except Refused:  # it came by a resharing, and had no key before
        return
    lineage = holder.lineage_of(body)
    retired, _ = retiring.kept_retirement(holder, before, proof, lineage)
    attempt = retired.attempt
    digest = retiring.said_kek_digest(holder, before)
    destroyed = Destroyed(attempt, h, body.hash, digest, holder.clock())
    named = {"wallet_id": body.terms.wallet_id.hex(), "epoch_hash": h.hex()}
    holder.audit("epoch-destroyed", {**named, "kek_digest": digest.hex(), "at": destroyed.at})
    address = address_in(before, attempt, me)
    message = holder.signed_by_identity(DESTROYED, address, destroyed.to_bytes())
    epochs.keep(h, EpochDocument.DESTROYED, message)
