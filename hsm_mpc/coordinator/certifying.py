"""The certificate of a key generation, put together from its messages (step 2.6.7).

The relay proves nothing by this: holders and clients verify every part themselves. A message that
does not parse is left to them too: they know whom to blame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.certificates.body import NO_EPOCH_BEFORE, EpochBody, EpochKind
from hsm_mpc.certificates.certificate import Acknowledgement, Certificate
from hsm_mpc.certificates.confirmation import Confirmation
from hsm_mpc.certificates.extension import Extension
from hsm_mpc.certificates.hello import Hello, session_id_of
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.terms import suite_of
from hsm_mpc.certificates.transcript import Transcript
from hsm_mpc.encoding import Reader
from hsm_mpc.groups.proofs import PublicSuite, context_of, signature_length
from hsm_mpc.groups.sharing import sum_of_commitments
from hsm_mpc.wire.envelope import parse_envelope


@dataclass(frozen=True, slots=True)
class _Dealt:
    """What of msg1 enters the transcript."""

    commitments: tuple[bytes, ...]
    possession: bytes
    ephemeral: bytes


def assemble(
    proposal: Proposal,
    hellos: Sequence[bytes],
    dealings: Sequence[bytes],
    confirmations: Sequence[bytes],
) -> Certificate:
    """The certificate from the n messages of each round, in roster order.

    Raises:
        BadEncoding, ProtocolAbort: the messages make no certificate.
    """
    suite = suite_of(proposal.scheme)
    greeted = [Hello.from_bytes(_payload(each), suite.group) for each in hellos]
    dealt = [_dealt(suite, proposal.sizes.t, _payload(each)) for each in dealings]
    confirmed = [Confirmation.from_bytes(_payload(each), suite) for each in confirmations]
    extension = Extension(
        terms=proposal.terms,
        clients_hash=proposal.clients.hash,
        delivery_keys=tuple(hello.delivery_key for hello in greeted),
        kek_digests=tuple(hello.kek_digest for hello in greeted),
        session_id=session_id_of(proposal.hash, hellos),
    )
    static_keys = tuple(hello.static_key for hello in greeted)
    transcript = Transcript(
        suite=suite,
        context=context_of(suite, extension.session_id, static_keys),
        threshold=proposal.sizes.t,
        static_keys=static_keys,
        commitments=tuple(each.commitments for each in dealt),
        possessions=tuple(each.possession for each in dealt),
        ephemeral_keys=tuple(each.ephemeral for each in dealt),
        extension=extension.to_bytes(),
    )
    return Certificate(
        body=EpochBody(
            kind=EpochKind.KEY_GENERATION,
            terms=proposal.terms,
            epoch=0,
            prev_hash=NO_EPOCH_BEFORE,
            commitments=sum_of_commitments(suite.group, transcript.commitments),
            transcript_hash=transcript.hash,
        ),
        transcript=transcript,
        extension=extension,
        signatures=tuple(each.signature for each in confirmed),
        acknowledgements=tuple(
            Acknowledgement(hello.kek_digest, each.blob_digest, each.acknowledgement)
            for hello, each in zip(greeted, confirmed, strict=True)
        ),
    )


def _payload(message: bytes) -> bytes:
    return parse_envelope(message).payload


def _dealt(suite: PublicSuite, threshold: int, payload: bytes) -> _Dealt:
    """The public half of msg1; its ciphertexts are not in the transcript (step 2.5.10)."""
    width = suite.group.point_length
    reader = Reader(payload, "msg1")
    return _Dealt(
        tuple(reader.take(width) for _ in range(threshold)),
        reader.take(signature_length(suite)),
        reader.take(width),
    )
