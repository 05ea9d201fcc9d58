"""Why an attempt carries a successor on: a chain of PROPOSEs down to the one that made it.

JOIN is a holder's own word. One that lies could say that it has adopted whatever was certified
once, in a higher attempt than what enough others have adopted: then a second successor would be
retired into. So the highest adoption that a PROPOSE rests on is proven, link by link.
"""

from __future__ import annotations

from collections.abc import Sequence

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import BadInput
from hsm_mpc.succession.join import Join
from hsm_mpc.succession.propose import Proposed, check_propose, highest_adoption
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope


def check_carried(
    proposed: Proposed, made: Attempt, history: Sequence[bytes], replaced: EpochBody, keys: KeyBook
) -> None:
    """Whether the adoption that `proposed` carries on was possible at all (step 6.5.2).

    Args:
        made: the attempt that made the successor, as its certificate says.
        history: PROPOSE messages, each of the attempt that the one before carries on; none if that
            is `made`.

    Raises:
        BadInput, InvalidSignature: nobody can have adopted it there.
        Refused: `split`.
    """
    rest = list(history)
    while True:
        joins = [Join.from_bytes(parse_envelope(each).payload) for each in proposed.content.joins]
        highest = highest_adoption(joins)
        if highest is None or highest.attempt >= proposed.content.attempt:
            raise BadInput("propose: nothing was adopted before the attempt that carries it on")
        if highest.attempt == made:
            break
        if not rest:
            raise BadInput("propose: an adoption in a later attempt is not proven")
        before = check_propose(parse_envelope(rest.pop(0)), replaced, keys)
        same = before.content.successor == proposed.content.successor
        if before.content.attempt != highest.attempt or not same:
            raise BadInput("propose: another attempt than the one that is carried on")
        proposed = before
    if rest:
        raise BadInput("propose: more attempts are shown than were carried on")
