"""The DONEs of all holders, which make an epoch 0 active and its key public (step 2.6.8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.done import Done
from hsm_mpc.errors import BadEncoding
from hsm_mpc.ids import EpochHash
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.inbox import Expected, Inbox
from hsm_mpc.wire.rounds import DONE

_NO_EPOCH: Final = EpochHash(bytes(32))


def check_all_done(
    keys: KeyBook, certificate: Certificate, sources: Sequence[bytes], now: int
) -> None:
    """One valid DONE of each holder, in roster order, each as the (verified) certificate says.

    Raises:
        BadEncoding, InvalidSignature: a message is not a DONE of its holder for this wallet.
        Tampered: a signed DONE does not say what the certificate says.
    """
    terms, inbox = certificate.body.terms, Inbox(keys)
    if len(sources) != terms.sizes.n:
        raise BadEncoding(f"{len(sources)} messages DONE of {terms.sizes.n} holders")
    for index, source in enumerate(sources, 1):
        session_id = certificate.extension.session_id
        expected = Expected(DONE, terms.wallet_id, session_id, _NO_EPOCH, (index,))
        message = inbox.receive(source, expected, now)
        certificate.check_done(index, Done.from_bytes(message.payload, terms.group))
