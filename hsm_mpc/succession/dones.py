"""The newest DONE of a holder: whoever deals or repairs reaches it by the key that it names."""

from __future__ import annotations

from hsm_mpc.certificates.done import Done
from hsm_mpc.errors import BadInput
from hsm_mpc.succession.addresses import Replaced
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.inbox import NO_CLOCK
from hsm_mpc.wire.rounds import ADOPTION, DONE, FIRST_NEW_HOLDER, NEW_DONE, REPAIR_DONE


def done_in(source: bytes, index: int, replaced: Replaced, keys: KeyBook) -> Done:
    """What holder `index` said in a DONE of this wallet, of whichever epoch, also after a repair,
    or as a new holder in a resharing.

    Raises:
        BadInput, InvalidSignature: it is no DONE of this holder for this wallet; or its vote for a
            resharing, which names the key of the epoch before.
    """
    message = parse_envelope(source)
    address, new = message.address, message.kind is NEW_DONE
    sender = FIRST_NEW_HOLDER + index if new else index
    if message.kind not in (DONE, ADOPTION, REPAIR_DONE, NEW_DONE) or address.sender != sender:
        raise BadInput(f"the DONE of holder {index} is of another one")
    if address.wallet_id != replaced.terms.wallet_id:
        raise BadInput(f"the DONE of holder {index} is of another wallet")
    (keys.of_new_holders(keys.roster) if new else keys).verify(message, NO_CLOCK)
    done = Done.from_bytes(message.payload, replaced.terms.group)
    if not done.is_of_a_share:
        raise BadInput(f"the DONE of holder {index} is a vote for what others have")
    return done
