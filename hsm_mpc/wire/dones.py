"""The DONEs of all holders, which make an epoch 0 active and its key public (step 2.6.8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.done import Done
from hsm_mpc.errors import BadEncoding, ProtocolAbort, Tampered
from hsm_mpc.ids import EpochHash
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.inbox import Expected, Inbox, decoded
from hsm_mpc.wire.rounds import DONE

_NO_EPOCH: Final = EpochHash(bytes(32))


def check_all_done(
    keys: KeyBook, certificate: Certificate, sources: Sequence[bytes], now: int
) -> None:
    """One valid DONE of each holder, in roster order, each as the (verified) certificate says.

    Raises:
        BadEncoding, InvalidSignature: a message is not a DONE of its holder for this wallet.
        ProtocolAbort: naming every holder whose signed DONE says something else.
    """
    terms, inbox, group = certificate.body.terms, Inbox(keys), certificate.body.terms.group
    if len(sources) != terms.sizes.n:
        raise BadEncoding(f"{len(sources)} messages DONE of {terms.sizes.n} holders")
    session_id = certificate.extension.session_id
    messages = []
    for index, source in enumerate(sources, 1):
        expected = Expected(DONE, terms.wallet_id, session_id, _NO_EPOCH, (index,))
        messages.append(inbox.receive(source, expected, now))
    culprits = []
    for index, message in enumerate(messages, 1):
        try:
            done = decoded(message, lambda payload: Done.from_bytes(payload, group))
            certificate.check_done(index, done)
        except (ProtocolAbort, Tampered):
            culprits.append(index)
    if culprits:
        raise ProtocolAbort("a signed done does not say what the certificate says", culprits)
