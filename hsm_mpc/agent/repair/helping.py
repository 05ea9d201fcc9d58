"""A helper's side of a repair: R1 and R2, each made once (steps 6.7.3 to 6.7.5).

Order, as everywhere: what is said is on disk before it is sent. What is lost with the process is
made again from the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.refusals import refusals_recorded
from hsm_mpc.agent.repair.orders import setup_of
from hsm_mpc.agent.succession.live import opened_share
from hsm_mpc.audit import Json
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.errors import BadEncoding, ProtocolAbort, Refused
from hsm_mpc.protocols import repair
from hsm_mpc.protocols.rounds import abort, advance
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret
from hsm_mpc.store.repairs import RepairDocument
from hsm_mpc.succession.repairing import address_in_repair, expected_in_repair
from hsm_mpc.wire.envelope import bundle, parse_envelope, unbundled
from hsm_mpc.wire.rounds import SPLIT, SUM


def split(
    holder: ActingHolder, suite: Suite, order: RepairOrder, body: EpochBody, dones: Sequence[bytes]
) -> bytes:
    """The own R1 message; a repeat is answered with the same bytes.

    Raises:
        Refused: `no-helper`, or `nonce-used`: the nonce served in another order.
        ProtocolAbort: the DONEs are not those of the order; or the share does not fit the epoch.
        Tampered, BackendError: the own share does not open, or HSM or disk fail.
    """
    repairs, sid = holder.store.repairs(order.wallet_id), order.session_id
    kept = repairs.kept(sid, RepairDocument.SPLIT)
    if kept is not None:
        return kept
    if holder.me not in order.helpers:
        raise Refused("no-helper", "this holder is none of the helpers of that repair")
    setup = setup_of(holder, suite, order, body, dones)
    before = (RepairOrder.from_terms(unbundled(each)[0]) for each in repairs.orders())
    if any(other.nonce == order.nonce and other.terms != order.terms for other in before):
        raise Refused("nonce-used", "the nonce of that order has served before")
    holder.audit("repair-helping", named(order, body))
    repairs.keep(sid, RepairDocument.ORDER, bundle([order.terms, *dones]))

    def draw(into: Secret) -> None:
        suite.group.random_nonzero(into, holder.entropy)

    with opened_share(holder, body) as own:
        keep, outbox = repair.split(setup, holder.me, own.delivery, own.share, draw)
        abort(keep)  # the message, and v, are enough to go on
    address = address_in_repair(order, holder.me)
    message = holder.signed_by_identity(SPLIT, address, outbox.to_all)
    repairs.keep(sid, RepairDocument.SPLIT, message)
    return message


def collect(
    holder: ActingHolder, suite: Suite, order: RepairOrder, body: EpochBody, splits: Sequence[bytes]
) -> bytes:
    """R1 of all helpers, ascending → the own R2 message; a repeat gets the same bytes.

    Raises:
        Refused: `no-helper`: nothing was split here for that order; or `complained`.
        ProtocolAbort: naming every helper whose R1 is bad, with evidence on disk.
        Tampered, BackendError: the own share does not open, or HSM or disk fail.
        BadEncoding, InvalidSignature: a message is not what is waited for.
    """
    repairs, sid = holder.store.repairs(order.wallet_id), order.session_id
    kept = repairs.kept(sid, RepairDocument.SUM)
    if kept is not None:
        return kept
    if repairs.kept(sid, RepairDocument.COMPLAINT) is not None:
        raise Refused("complained", "this holder has complained of a helper in that repair")
    own = repairs.kept(sid, RepairDocument.SPLIT)
    begun = repairs.kept(sid, RepairDocument.ORDER)
    if own is None or begun is None:
        raise Refused("no-helper", "this holder has split nothing for that repair")
    setup = setup_of(holder, suite, order, body, unbundled(begun)[1:])
    received = received_splits(holder, order, body, splits)
    if splits[order.helpers.index(holder.me)] != own:
        raise ProtocolAbort("the own deltas came back altered")

    def draw(into: Secret) -> None:
        suite.group.random_nonzero(into, holder.entropy)

    with refusals_recorded(holder, named(order, body), splits), opened_share(holder, body) as open_:
        keep = repair.resume(setup, holder.me, open_.delivery, parse_envelope(own).payload)
        summed = advance(repair.collect, keep, open_.delivery, received, draw)
    address = address_in_repair(order, holder.me, order.lost)
    message = holder.signed_by_identity(SUM, address, summed.to_bytes())
    if repairs.kept(sid, RepairDocument.SPLITS) is None:  # what is added up, should r ask
        repairs.keep(sid, RepairDocument.SPLITS, bundle(splits))
    repairs.keep(sid, RepairDocument.SUM, message)
    return message


def received_splits(
    holder: ActingHolder, order: RepairOrder, body: EpochBody, sources: Sequence[bytes]
) -> Mapping[int, bytes]:
    """R1 of each helper, ascending, its signature checked.

    Raises:
        BadEncoding, InvalidSignature: it is not that.
    """
    if len(sources) != len(order.helpers):
        raise BadEncoding(f"{len(sources)} messages R1 of {len(order.helpers)} helpers")
    inbox, received = holder.inbox(holder.lineage_of(body).newest), {}
    for helper, source in zip(order.helpers, sources, strict=True):
        expected = expected_in_repair(SPLIT, order, (helper,))
        received[helper] = inbox.receive(source, expected, holder.clock()).payload
    return received


def named(order: RepairOrder, body: EpochBody) -> dict[str, Json]:
    """What the audit log says of a repair."""
    return {
        "wallet_id": order.wallet_id.hex(),
        "name": body.terms.name,
        "epoch_hash": order.epoch_hash.hex(),
        "lost": order.lost,
        "helpers": list(order.helpers),
        "identity_key": order.identity_key.encoded.hex(),
        "delivery_key": order.delivery_key.hex(),
        "repair": order.session_id.hex(),
    }
