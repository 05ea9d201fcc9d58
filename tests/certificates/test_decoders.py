"""Step 1.1.3: every decoder consumes its input exactly."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.card import Card
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.channel import Channel
from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.certificates.confirmation import Confirmation
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.extension import Extension
from hsm_mpc.certificates.hello import Hello
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.transcript import Transcript
from hsm_mpc.errors import BadEncoding, InvalidSignature
from hsm_mpc.groups.proofs import COCKTAIL_SECP256K1
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.requests import Request
from hsm_mpc.roster import Roster
from tests.certificates.ceremony import Ceremony
from tests.certificates.test_channel import CHANNEL
from tests.software_identity import p256_key
from tests.test_card import CARD
from tests.test_requests import REQUEST

CEREMONY = Ceremony()
CERTIFICATE = CEREMONY.certificate()

DECODERS: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
    "roster": (CEREMONY.roster.to_bytes(), Roster.from_bytes),
    "card": (CARD.to_bytes(), Card.from_bytes),
    "request": (REQUEST.to_bytes(), Request.from_bytes),
    "clients": (CEREMONY.proposal().clients.to_bytes(), ClientList.from_bytes),
    "channel": (
        CHANNEL.to_bytes(),
        lambda source: Channel.from_bytes(source, p256_key(1).public),
    ),
    "proposal": (CEREMONY.proposal().to_bytes(), Proposal.from_bytes),
    "hello": (
        CEREMONY.hellos()[0].to_bytes(),
        lambda source: Hello.from_bytes(source, SECP256K1),
    ),
    "body": (CERTIFICATE.body.to_bytes(), EpochBody.from_bytes),
    "extension": (CERTIFICATE.extension.to_bytes(), Extension.from_bytes),
    "transcript": (
        CERTIFICATE.transcript.to_bytes(),
        lambda source: Transcript.from_bytes(source, COCKTAIL_SECP256K1),
    ),
    "certificate": (CERTIFICATE.to_bytes(), Certificate.from_bytes),
    "confirmation": (
        Confirmation(bytes(65), bytes(32), b"an acknowledgement").to_bytes(),
        lambda source: Confirmation.from_bytes(source, COCKTAIL_SECP256K1),
    ),
    "done": (CEREMONY.done(1).to_bytes(), lambda source: Done.from_bytes(source, SECP256K1)),
}
each_decoder = pytest.mark.parametrize("name", DECODERS)


@each_decoder
def test_trailing_byte_in_every_message_is_refused(name: str) -> None:
    source, decode = DECODERS[name]
    decode(source)
    for trailing in (b"\0", b"\1", source):
        with pytest.raises(BadEncoding):
            decode(source + trailing)


@each_decoder
def test_truncated_message_is_refused(name: str) -> None:
    """At every length."""
    source, decode = DECODERS[name]
    for length in range(len(source)):
        with pytest.raises(BadEncoding):
            decode(source[:length])


@each_decoder
@given(data=st.data())
def test_no_bytes_raise_anything_else(name: str, data: st.DataObject) -> None:
    """Neither noise nor a message with a changed part does more than to be refused."""
    source, decode = DECODERS[name]
    start = data.draw(st.integers(0, len(source)))
    end = data.draw(st.integers(start, len(source)))
    noise = data.draw(st.binary(max_size=40))
    for changed in (noise, source[:start] + noise + source[end:]):
        with suppress(BadEncoding, InvalidSignature):
            decode(changed)
