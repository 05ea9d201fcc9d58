"""The certificate of a successor, put together from its messages (step 6.5.4).

Whoever does it proves nothing by it: holders and clients verify every part themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.terms import read_point
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.succession.ack import Ack
from hsm_mpc.succession.propose import Proposed
from hsm_mpc.succession.successor import SuccessorCertificate, successor_body
from hsm_mpc.wire.envelope import parse_envelope

_ATTEMPT_BYTES = 10


def assemble(
    replaced: EpochBody, proposed: Proposed, deals: Sequence[bytes], acks: Sequence[bytes]
) -> SuccessorCertificate:
    """The certificate from the DEAL and ACK messages of all members, ascending.

    Raises:
        BadEncoding, ProtocolAbort: the messages make no certificate.
    """
    digests = tuple(hashlib.sha256(deal).digest() for deal in deals)
    commitments = refreshed_commitments(replaced, deals)
    transcript_hash = proposed.transcript_hash(digests)
    body = successor_body(replaced, commitments, transcript_hash, proposed.keys.roster)
    acknowledgements = []
    for index, source in zip(proposed.members, acks, strict=True):
        ack = Ack.from_bytes(parse_envelope(source).payload)
        if ack.epoch_hash != body.hash:
            raise ProtocolAbort(
                f"holder {index} acknowledges another successor than the dealings make"
            )
        acknowledgements.append(ack.acknowledgement)
    return SuccessorCertificate(body, proposed.source, digests, tuple(acknowledgements))


def refreshed_commitments(replaced: EpochBody, deals: Sequence[bytes]) -> tuple[bytes, ...]:
    """A'_0 = A_0; A'_k = A_k + Σ C_{i,k} (step 6.4.4).

    Raises:
        BadEncoding: a dealing does not begin with its commitments.
        ProtocolAbort: one of them is the identity; nobody is to blame.
    """
    group, t = replaced.terms.group, replaced.terms.sizes.t
    dealt = []
    for source in deals:
        reader = Reader(parse_envelope(source).payload, "deal")
        reader.take(_ATTEMPT_BYTES)
        dealt.append([read_point(reader, group) for _ in range(t - 1)])
    sums = [replaced.group_key]
    for k in range(1, t):
        total = group.combine([replaced.commitments[k], *(own[k - 1] for own in dealt)])
        if total is None:
            raise ProtocolAbort(f"the sum of the commitments to coefficient {k} is the identity")
        sums.append(total)
    return tuple(sums)
