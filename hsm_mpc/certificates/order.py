"""ORDER: administrators overrule a confirmation that is missing (step 6.5.9).

wallet_id ‖ h_e ‖ α ‖ h' ‖ u8(count) ‖ Σ u16be(counted) ‖ u8(count) ‖ Σ u16be(suspect)
‖ LV16(reason) ‖ u8(margin accepted) ‖ u64be(deadline) ‖ nonce[32]
‖ u8(m) ‖ Σ( u8(admin) ‖ u8(alg) ‖ LV16(signature) )
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.reason import check_reason, read_reason
from hsm_mpc.certificates.signed_order import SignedOrder
from hsm_mpc.encoding import Reader, decoding, lv16, u8, u16be, u64be
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.ids import EpochHash, WalletId


@dataclass(frozen=True, slots=True)
class Order(SignedOrder):
    """Which successor takes an epoch's place. Without signatures it is a plan (step 1.6.7).

    What stands in it and not in the specification: `counted`, without which whoever carries an
    order chooses whom it counts, and with how much margin; `deadline` and `nonce`, as in every
    plan.

    Raises:
        BadInput: from the constructor: holders that are not ascending, one that is counted and
            suspected, or a reason that is none.
    """

    wallet_id: WalletId
    epoch_hash: EpochHash
    """h_e: the epoch that goes."""
    attempt: Attempt
    """In which the successor was adopted."""
    successor: EpochHash
    """h'."""
    counted: tuple[int, ...]
    """Whose DONEs it rests on, ascending: whom the administrators vouch for."""
    suspects: tuple[int, ...]
    """Who is lost, does not answer, or is not believed, ascending."""
    reason: str
    margin_accepted: bool
    """Whether it may rest on t DONEs, so that no further loss is survived."""
    deadline: int
    """Seconds since 1970 UTC; it bounds the consents."""
    nonce: bytes

    def __post_init__(self) -> None:
        for holders in (self.counted, self.suspects):
            if sorted(set(holders)) != list(holders):
                raise BadInput("order: holders are ascending, each once")
        if set(self.counted) & set(self.suspects):
            raise BadInput("order: a suspect is counted")
        check_reason(self.reason)

    @property
    def terms(self) -> bytes:
        """All before the signatures: what is signed, and what is consented to."""
        return (
            self.wallet_id
            + self.epoch_hash
            + self.attempt.to_bytes()
            + self.successor
            + _holders_bytes(self.counted)
            + _holders_bytes(self.suspects)
            + lv16(self.reason.encode())
            + u8(self.margin_accepted)
            + u64be(self.deadline)
            + self.nonce
        )

    def margin(self, threshold: int) -> int:
        """How many of the counted holders may still lose their HSMs (step 6.1.3)."""
        return len(self.counted) - threshold

    @classmethod
    def _read_terms(cls, reader: Reader) -> Order:
        wallet_id, h = WalletId(reader.take(16)), EpochHash(reader.take(32))
        attempt, successor = Attempt.read(reader), EpochHash(reader.take(32))
        counted, suspects = _read_holders(reader), _read_holders(reader)
        reason, accepted = read_reason(reader, "order"), reader.u8()
        deadline, nonce = reader.u64be(), reader.take(32)
        if accepted > 1:
            raise BadEncoding("order: the margin is accepted, or it is not")
        with decoding("order"):
            return cls(
                wallet_id=wallet_id,
                epoch_hash=h,
                attempt=attempt,
                successor=successor,
                counted=counted,
                suspects=suspects,
                reason=reason,
                margin_accepted=bool(accepted),
                deadline=deadline,
                nonce=nonce,
            )


def _holders_bytes(holders: Sequence[int]) -> bytes:
    return u8(len(holders)) + b"".join(u16be(holder) for holder in holders)


def _read_holders(reader: Reader) -> tuple[int, ...]:
    return tuple(reader.u16be() for _ in range(reader.u8()))
