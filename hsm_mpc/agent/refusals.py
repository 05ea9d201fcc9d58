"""No refusal leaves without its line in the audit log, and no cheat without its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.evidence import keep_evidence
from hsm_mpc.audit import Json
from hsm_mpc.errors import BackendError, HsmMpcError, ProtocolAbort, Refused, Tampered
from hsm_mpc.protocols.list_checks import RepeatedNonce
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.inbox import Equivocation


@contextmanager
def refusals_recorded(
    holder: ActingHolder, named: Mapping[str, Json], listed: Sequence[bytes] = ()
) -> Iterator[None]:
    """Steps 3.4.15 and 3.4.6; what HSM and disk fail to do is no refusal.

    Args:
        named: what the line says of the request.
        listed: the COMMIT messages that it is about.

    Raises:
        BackendError: the line cannot be written: then that is the answer.
    """
    try:
        yield
    except BackendError:
        raise
    except HsmMpcError as refused:
        fields: dict[str, Json] = {**named, "rule": refused.kind}
        if isinstance(refused, Refused):
            fields["rule"] = refused.rule
        else:
            fields |= {"reason": str(refused), **_evidence(holder, refused, listed)}
        holder.audit("alarm" if isinstance(refused, Tampered) else "refused", fields)
        raise


def _evidence(
    holder: ActingHolder, refused: HsmMpcError, listed: Sequence[bytes]
) -> Mapping[str, Json]:
    """Of equivocation, of a COMMIT that is none, of a nonce that is there twice."""
    proof: Sequence[bytes] = ()
    if isinstance(refused, Equivocation):
        proof = refused.evidence
    elif isinstance(refused, RepeatedNonce) or (
        isinstance(refused, ProtocolAbort) and refused.culprits
    ):
        proof = listed
    if not proof:
        return {}
    wallet_id = parse_envelope(proof[0]).address.wallet_id
    lineage = holder.store.repairs(wallet_id).lineage() or b""
    return keep_evidence(holder.store.evidence, holder.keys, str(refused), proof, lineage)
