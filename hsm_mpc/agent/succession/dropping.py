"""Successors that never came to be: their wrapping keys go, then what is on disk of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.keygen_files import destroy_wrapping_key
from hsm_mpc.agent.opener import key_id_in
from hsm_mpc.agent.succession.live import LiveEpoch
from hsm_mpc.agent.wallets import HeldEpoch
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody, EpochKind
from hsm_mpc.errors import Refused, Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import EpochRecord, EpochState
from hsm_mpc.succession.propose import attempt_in
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.envelope import unbundled

MOST_STAGED: Final = 4
"""Successors that a holder keeps a wrapping key for at once (section 6.2)."""


def make_room(live: LiveEpoch) -> None:
    """Before a JOIN: room for one successor more. Dead ones make it, the oldest first.

    Raises:
        Refused: `staged-full`: none of them may be dropped (step 6.5.10).
        Tampered, BackendError: HSM or disk; to be called again.
    """
    too_many = len(live.successors) + 1 - MOST_STAGED
    dead = _overtaken(live)
    if too_many > len(dead):
        raise Refused("staged-full", f"{MOST_STAGED} successors are staged here already")
    for successor in dead[: max(too_many, 0)]:
        destroy_keys(live.holder, live.wallet_id, successor.record)
        live.epochs.drop(successor.body.hash)


def destroy_keys(holder: ActingHolder, wallet_id: WalletId, record: EpochRecord) -> None:
    """Every wrapping key that opens the share of one epoch is gone from the token.

    Raises:
        Tampered: a key is in another token.
        BackendError: the token does not answer.
    """
    for uri in record.kek_uris:
        destroy_wrapping_key(holder, wallet_id, key_id_in(holder.token, uri))


def destroy_all_but(holder: ActingHolder, wallet_id: WalletId, kept: Iterable[EpochRecord]) -> None:
    """No wrapping key of the wallet is left but those of these epochs, also none that no record
    names: a disk that was restored has forgotten what it staged, and an old copy of it has not
    (6.5.7).

    Raises:
        Tampered: a key of these epochs is in another token.
        BackendError: the token does not answer.
    """
    named = {key_id_in(holder.token, uri) for record in kept for uri in record.kek_uris}
    keys.destroy_labelled(holder.token, keys.wrapping_label(wallet_id), named)


def _overtaken(live: LiveEpoch) -> list[HeldEpoch]:
    """Staged in an attempt below one that made something new, and never adopted; oldest first.

    This holder has dealt in the higher one, so it has seen that its PROPOSE holds. Should one of
    them be adopted by others all the same, its share is made again from the transcript. A share by
    a resharing is not, and once its holder has confirmed it the others count on it (step 6.8.4).
    """
    attempts = live.attempts
    dealt = [a for a in attempts.all() if attempts.kept(a, AttemptDocument.PROPOSE) is not None]
    newest = max(dealt, default=b"")
    voted = None if live.register.adopted is None else live.register.adopted.epoch_hash
    made = [
        (made_in(live.epochs, each.body.hash).to_bytes(), each)
        for each in live.successors
        if each.record.state is not EpochState.ADOPTED
        and each.body.hash != voted
        and not _is_confirmed(live.epochs, each.body)
    ]
    made.sort(key=lambda of_attempt: of_attempt[0])
    return [each for attempt, each in made if attempt < newest]


def _is_confirmed(epochs: Epochs, successor: EpochBody) -> bool:
    is_reshared = successor.kind is EpochKind.RESHARE
    return is_reshared and epochs.kept(successor.hash, EpochDocument.DONE) is not None


def made_in(epochs: Epochs, h: EpochHash) -> Attempt:
    """The attempt whose PROPOSE made the successor `h`. Raises: Tampered."""
    transcript = epochs.kept(h, EpochDocument.TRANSCRIPT)
    certificate = epochs.kept(h, EpochDocument.CERTIFICATE)
    if transcript is not None:
        propose = unbundled(transcript)[0]
    elif certificate is not None:  # of a share that was repaired
        propose = SuccessorCertificate.from_bytes(certificate).propose
    else:
        raise Tampered("the transcript of a successor is missing")
    return attempt_in(propose)
