"""ORDER: what lets administrators overrule a confirmation that is missing (step 6.5.9).

It says which successor replaces an epoch, and on whose DONEs it rests. It proves itself together
with these and with the policy file, whose hash the epoch certifies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from hsm_mpc.certificates.order import Order
from hsm_mpc.errors import BadInput
from hsm_mpc.groups.sharing import require_ascending
from hsm_mpc.ids import EpochHash
from hsm_mpc.policy.rules import Administrators
from hsm_mpc.policy_file import policy
from hsm_mpc.succession.addresses import Replaced
from hsm_mpc.succession.amendment import Repaired
from hsm_mpc.succession.changes import amendments_in
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.order_signatures import check_signed, keys_of
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook


def replaced_in(lineage: Lineage, h: EpochHash) -> frozenset[int]:
    """Who was repaired onto another HSM in the epoch `h`: it may have forgotten how it voted about
    the successor (step 6.6.5), so no DONE of it counts for an order about that epoch.
    """
    amendments = (each for source in lineage.amendments for each in amendments_in(source))
    orders = (each.order for each in amendments if isinstance(each, Repaired))
    return frozenset(order.lost for order in orders if order.epoch_hash == h)


def check_terms(order: Order, replaced: Replaced, lost: Collection[int]) -> None:
    """Whether such an order about this epoch can be; nobody need have signed it yet.

    Args:
        lost: `replaced_in` that epoch.

    Raises:
        BadInput: it cannot.
    """
    sizes = replaced.terms.sizes
    if (order.wallet_id, order.epoch_hash) != (replaced.terms.wallet_id, replaced.hash):
        raise BadInput("order: of another wallet or epoch")
    require_ascending(order.counted, sizes.n)
    require_ascending(order.suspects, sizes.n)
    standing = [index for index in order.counted if index not in lost]
    if len(standing) < sizes.t:
        raise BadInput(f"order: {len(standing)} holders count, {sizes.t} are wanted")
    if order.margin(sizes.t) == 0 and not order.margin_accepted:
        raise BadInput("order: it leaves no margin, and that was not accepted")


def administrators_in(policy_file: bytes, replaced: Replaced) -> Administrators | None:
    """Whom the certified policy names; None: nobody, so that the counted holders sign.

    Raises:
        BadInput: it is not the certified policy.
    """
    if hashlib.sha256(policy_file).digest() != replaced.terms.policy_hash:
        raise BadInput("order: the policy is not the certified one")
    return policy(policy_file).administrators


def check_order(order: Order, replaced: Replaced, policy_file: bytes, keys: KeyBook) -> None:
    """As many administrators have signed as the policy wants; where it names none, all that are
    counted.

    Args:
        keys: of the roster that the successor names, and those that have replaced them since.

    Raises:
        BadInput, InvalidSignature: they have not.
    """
    administrators = administrators_in(policy_file, replaced)
    if administrators is None:
        named = {index: keys.identity_keys(index) for index in order.counted}
        check_signed(Tag.ORDER, order.terms, order.signatures, named, len(named))
    else:
        named_there, wanted = keys_of(administrators), administrators.threshold
        check_signed(Tag.ORDER, order.terms, order.signatures, named_there, wanted)
