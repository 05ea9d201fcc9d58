"""A dealer that sealed a false share for a new holder, which proves it with v' (step 6.8.3).

One complaint in an attempt, on disk before it is sent and repeated as it is: the holder says
nothing else in it any more, and without its ACK' there is no certificate. The old holders judge it
(agent/succession/judging).
"""

from __future__ import annotations

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.arrival.greeting import Greeted
from hsm_mpc.agent.arrival.receiving import newcomers_of, proposed_to
from hsm_mpc.agent.succession.dealing import reshare_setup
from hsm_mpc.agent.succession.shown import Shown, convicted_anew, dealt_by
from hsm_mpc.agent.succession.staging import dealing_in, received_dealings
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import Refused
from hsm_mpc.protocols import reshare_complaint
from hsm_mpc.protocols.reshare_messages import ShareDealing
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.succession.addresses import address_in
from hsm_mpc.succession.complained import Complained, digest_of
from hsm_mpc.wire.rounds import FIRST_NEW_HOLDER, NEW_COMPLAINT


def complain(
    holder: ActingHolder,
    suite: Suite,
    body: EpochBody,
    greeted: Greeted,
    accused: int,
    shown: Shown,
) -> bytes:
    """The own COMPLAINT message about dealer `accused`; in this attempt no other is ever made.

    Args:
        body: of the epoch that is shared anew.
        greeted: of the attempt, in which this holder has acknowledged nothing.

    Raises:
        Refused: `proof-enough`: what the dealer signed convicts it.
        BadInput: what it sealed for this holder is sound: nothing is revealed; or it deals nothing.
        BackendError: disk.
        BadEncoding, InvalidSignature, ProtocolAbort: the messages are not those of an attempt.
    """
    proposed = proposed_to(holder, body, greeted, shown.propose)
    dealings = received_dealings(body, proposed, shown.deals, shown.channels)
    message, newcomers = dealt_by(accused, dealings), newcomers_of(proposed)
    alone = convicted_anew(body, suite, accused, dealings, newcomers)
    if alone is not None:
        raise Refused("proof-enough", alone.reason)
    setup = reshare_setup(body, suite, proposed, newcomers)
    dealing = ShareDealing.from_bytes(dealing_in(proposed, message), setup)

    def draw(into: Secret) -> None:
        suite.group.random_nonzero(into, holder.entropy)

    complaint = reshare_complaint.accuse(
        setup, greeted.place, greeted.delivery, accused, dealing, draw
    )
    alpha = greeted.attempt.to_bytes()
    payload = Complained(digest_of(message), complaint).to_bytes(alpha)
    address = address_in(body, greeted.attempt, FIRST_NEW_HOLDER + greeted.place)
    holder.audit(
        "complained",
        {
            "wallet_id": body.terms.wallet_id.hex(),
            "name": body.terms.name,
            "epoch_hash": body.hash.hex(),
            "attempt": alpha.hex(),
            "accused": accused,
        },
    )
    said = holder.signed_by_identity(NEW_COMPLAINT, address, payload)
    holder.attempts(body.terms.wallet_id).keep(alpha, AttemptDocument.COMPLAINT, said)
    return said
