"""x ‖ v of an epoch goes into a blob, and what is on disk opens to them again (step 6.4.6).

Between the two the caller writes the blob, and the record that names it.
"""

from __future__ import annotations

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.succession.live import opened_share
from hsm_mpc.agent.wallets import context_of
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import Tampered
from hsm_mpc.sealing.sealed import seal
from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import Secret, move_bytes
from hsm_mpc.wrapping.base import WrappingKey


def blob_of(
    holder: ActingHolder, body: EpochBody, key: WrappingKey, share: Secret, delivery: Secret
) -> bytes:
    """A blob of x and v, which stay as they are, that `key` opens.

    Raises:
        BackendError: the HSM does not answer.
    """
    width, context = share.size, context_of(holder, body)
    with holder.arena.open(), holder.arena.scope() as take:
        content = take(2 * width)
        with content.open() as at, share.open() as x, delivery.open() as v:
            move_bytes(at, x, width)
            move_bytes(at + width, v, width)
        return seal(content, context, [key], holder.entropy, holder.clock())


def require_opens_to(
    holder: ActingHolder, body: EpochBody, share: Secret, delivery: Secret
) -> None:
    """What is on disk of that epoch opens to just x and v.

    Raises:
        Tampered: to something else; or as `opened_share`.
        BackendError: the HSM does not answer.
    """
    width = share.size
    with opened_share(holder, body) as again:
        with share.open() as x, again.share.open() as other:
            same_share = sodium.equal(x, other, width)
        with delivery.open() as v, again.delivery.open() as other:
            same_delivery = sodium.equal(v, other, width)
    if not (same_share and same_delivery):
        raise Tampered("the sealed share opens to something else")
