"""AMENDMENT → the wallet's roster: another holder has another identity key (6.7.2 and 6.7.9)."""

from __future__ import annotations

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.consents import Consents, takes_part
from hsm_mpc.agent.wallets import body_of
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.errors import BadInput, InvalidSignature, ProtocolAbort, Refused
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.succession.amendment import Amendment, Rotated
from hsm_mpc.succession.changes import changes_in
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.wire.about_wallets import address_about
from hsm_mpc.wire.amended import amended_payload
from hsm_mpc.wire.rounds import AMENDED


def amend(holder: ActingHolder, consents: Consents, body: EpochBody, source: bytes) -> bytes:
    """Take it in, and say so: the own AMENDED. A repeat changes nothing. It proves itself, whoever
    carried it; a rotation wants the operator's consent besides, of whoever has not that key itself.

    Args:
        body: of the newest epoch here.

    Raises:
        Refused: `other-roster`: another key has taken the place of that one; `consent`,
            `deadline` or `declined`; or `not-turned`: it is the own one, and not in use yet.
        ProtocolAbort: it does not hold. No holder is to blame.
    """
    holder = holder.at(body)
    known, wallet_id = holder.lineage_of(body), body.terms.wallet_id
    try:
        amendment = Amendment.from_bytes(source)
        _require_first(known, amendment)
        joined = known.with_pending(source)
    except (BadInput, InvalidSignature) as broken:
        raise ProtocolAbort(f"an amendment that does not hold: {broken}") from broken
    if isinstance(amendment, Rotated):
        with consents.serving(Plan.of(amendment.rotate)):
            if joined is not known:
                require_consent_to_rotate(holder, consents, amendment.rotate)
                _keep(holder, body, amendment, joined)
    elif joined is not known:
        _keep(holder, body, amendment, joined)
    address = address_about(wallet_id, body.hash, holder.me)
    payload = amended_payload(amendment.index, amendment.identity_key)
    return holder.signed_by_identity(AMENDED, address, payload)


def consider_rotation(holder: ActingHolder, consents: Consents, rotate: Rotate) -> bool:
    """Whether this holder would take that key now; False: its operator is asked (step 6.7.9).

    Raises:
        Refused: `other-roster`, `other-epoch`, `deadline` or `declined`.
        ProtocolAbort: it does not hold. No holder is to blame.
    """
    body = _body_of(holder, rotate)
    holder = holder.at(body)
    known, amendment = holder.lineage_of(body), Rotated(rotate)
    try:
        _require_first(known, amendment)
        joined = known.with_pending(amendment.to_bytes())
    except (BadInput, InvalidSignature) as broken:
        raise ProtocolAbort(f"a rotation that does not hold: {broken}") from broken
    return joined is known or takes_part(
        lambda: require_consent_to_rotate(holder, consents, rotate)
    )


def require_consent_to_rotate(holder: ActingHolder, consents: Consents, rotate: Rotate) -> None:
    """A holder of a lab-marked roster consents by itself (step 1.6.7). Raises: Refused."""
    if rotate.index == holder.me:
        if rotate.identity_key != holder.identity.key:
            raise Refused("not-turned", "this holder does not sign by that key")
        return
    if holder.asks_operator or not holder.roster.lab:
        if rotate.deadline < holder.clock():
            raise Refused("deadline", "the time of that plan is over")
        consents.require(Plan.of(rotate), _body_of(holder, rotate).to_bytes())


def _body_of(holder: ActingHolder, rotate: Rotate) -> EpochBody:
    """Of the epoch in which it was asked for, as far as it is known here."""
    encoded = holder.epochs(rotate.wallet_id).kept(rotate.epoch_hash, EpochDocument.BODY)
    if encoded is None:
        raise Refused("other-epoch", "this holder knows no such epoch of that wallet")
    return body_of(rotate.epoch_hash, encoded)


def _keep(holder: ActingHolder, body: EpochBody, amendment: Amendment, joined: Lineage) -> None:
    holder.audit(
        "roster-amended",
        {
            "wallet_id": body.terms.wallet_id.hex(),
            "name": body.terms.name,
            "holder": amendment.index,
            "identity_key": amendment.identity_key.encoded.hex(),
            "roster_hash": joined.newest.roster.hash.hex(),
        },
    )
    holder.keep_lineage(body.terms.wallet_id, joined)


def _require_first(known: Lineage, amendment: Amendment) -> None:
    """Of two that replace one key the first counts. Raises: Refused: `other-roster`."""
    lost, before, after = amendment.change
    for other, replaced, by in changes_in(known.pending):
        if (other, replaced) == (lost, before) and by != after:
            raise Refused("other-roster", "another key has taken the place of that one here")
