"""The certificate of a successor, put together from its messages (step 6.5.4).

Whoever does it proves nothing by it: holders and clients verify every part themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.terms import read_point
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.groups.sharing import sum_of_commitments
from hsm_mpc.succession.ack import Ack
from hsm_mpc.succession.propose import Proposed
from hsm_mpc.succession.successor import SharedAnew, SuccessorCertificate, successor_body
from hsm_mpc.wire.envelope import parse_envelope

_HEAD_BYTES = 10 + 32
"""α ‖ sid."""


def assemble(
    replaced: EpochBody,
    proposed: Proposed,
    deals: Sequence[bytes],
    acks: Sequence[bytes],
    new_acks: Sequence[bytes] = (),
) -> SuccessorCertificate:
    """The certificate from the DEAL message of every dealer and the ACK of every member, ascending.

    Args:
        new_acks: of a resharing those of all new holders, too.

    Raises:
        BadEncoding, ProtocolAbort: the messages make no certificate.
    """
    digests = tuple(hashlib.sha256(deal).digest() for deal in deals)
    newcomers = proposed.newcomers
    if newcomers is None:
        commitments = refreshed_commitments(replaced, deals)
    else:
        dealt = _dealt(replaced, deals, newcomers.resharing.sizes.t)
        commitments = sum_of_commitments(replaced.terms.group, dealt)  # step 6.8.3
    body = successor_body(replaced, commitments, digests, proposed)
    names = [f"holder {index}" for index in proposed.members]
    acknowledgements = _acknowledged(body, names, acks)
    shared_anew = None
    if newcomers is not None:
        roster = newcomers.resharing.roster
        new = _acknowledged(
            body, [f"new holder {member.name}" for member in roster.members], new_acks
        )
        shared_anew = SharedAnew(roster, replaced.terms.sizes, new)
    return SuccessorCertificate(body, proposed.source, digests, acknowledgements, shared_anew)


def refreshed_commitments(replaced: EpochBody, deals: Sequence[bytes]) -> tuple[bytes, ...]:
    """A'_0 = A_0; A'_k = A_k + Σ C_{i,k} (step 6.4.4).

    Raises:
        BadEncoding: a dealing does not begin with its commitments.
        ProtocolAbort: one of them is the identity; nobody is to blame.
    """
    dealt = _dealt(replaced, deals, replaced.terms.sizes.t - 1)
    constant, *rest = replaced.commitments
    return (constant, *sum_of_commitments(replaced.terms.group, [rest, *dealt], lowest=1))


def _dealt(replaced: EpochBody, deals: Sequence[bytes], count: int) -> list[list[bytes]]:
    """The commitments that each dealing begins with. Raises: BadEncoding: they are not there."""
    group, dealt = replaced.terms.group, []
    for source in deals:
        reader = Reader(parse_envelope(source).payload, "deal")
        reader.take(_HEAD_BYTES)
        dealt.append([read_point(reader, group) for _ in range(count)])
    return dealt


def _acknowledged(
    body: EpochBody, names: Iterable[str], acks: Sequence[bytes]
) -> tuple[Acknowledgement, ...]:
    acknowledgements = []
    for name, source in zip(names, acks, strict=True):
        ack = Ack.from_bytes(parse_envelope(source).payload)
        if ack.epoch_hash != body.hash:
            raise ProtocolAbort(f"{name} acknowledges another successor than the dealings make")
        acknowledgements.append(ack.acknowledgement)
    return tuple(acknowledgements)
