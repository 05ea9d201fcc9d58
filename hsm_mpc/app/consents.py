"""`holder admit`, `holder decline`: what this holder was asked to take part in, and its consent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.agent.consents import Consents, Waiting, shared_anew
from hsm_mpc.app.admin import asked
from hsm_mpc.app.moments import moment
from hsm_mpc.app.shares import at_rest
from hsm_mpc.app.shown_order import (
    PlannedAdministrators,
    ShownOrder,
    planned_administrators,
    shown_order,
)
from hsm_mpc.app.shown_repair import PlannedRepair, planned_repair
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.destruction import Destroy
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.plan import Planned
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.resharing import ReshareOrder
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.config import load_holder
from hsm_mpc.errors import BadInput
from hsm_mpc.policy_file import policy as policy_in
from hsm_mpc.roster import Roster, fingerprint_words

Kind = Literal["create", "reshare", "destroy", "order", "repair", "rotate"]

_SHORTEST: Final = 16
"""Hexadecimal digits of a digest that name a plan: whoever draws nonces finds another one with the
same 8.
"""
_WHOLE: Final = 64


@dataclass(frozen=True, slots=True)
class PlannedHolder:
    """A holder of the roster that is planned with."""

    name: str
    algorithm: str
    identity_key: str
    """In hex."""


@dataclass(frozen=True, slots=True)
class PlannedClient:
    """Who may ask for signatures."""

    name: str
    request_key: str
    """In hex."""


@dataclass(frozen=True, slots=True)
class PlannedWallet:
    """A wallet that is to be made."""

    scheme: str
    threshold: int
    join: int
    """J: how many a refresh wants."""
    adopt: int
    """W: how many have adopted the next epoch before this one is destroyed."""
    holders: tuple[PlannedHolder, ...]
    roster: str
    """Its fingerprint, in words."""
    policy_sha256: str
    policy: str
    """The file, for people."""
    permissions: tuple[str, ...]
    """What it means: the requests that are signed."""
    administrators: PlannedAdministrators | None
    """What it means: whose signatures overrule."""
    clients: tuple[PlannedClient, ...]


@dataclass(frozen=True, slots=True)
class PlannedEnd:
    """The wallet is to be destroyed: its keys go from every HSM, for ever."""

    scheme: str
    epoch: int
    """The newest one."""
    reason: str


@dataclass(frozen=True, slots=True)
class PlannedResharing:
    """The key of a wallet is shared anew: whoever held it before destroys what he had."""

    scheme: str
    epoch: int
    """The newest one, which is replaced."""
    before: str
    """How many of whom sign until then."""
    threshold: int
    join: int
    """J: how many a refresh wants from then on."""
    adopt: int
    """W: how many have adopted the next epoch before one is destroyed, from then on."""
    holders: tuple[PlannedHolder, ...]
    roster: str
    """Its fingerprint, in words."""
    reason: str


@dataclass(frozen=True, slots=True)
class PlannedRotation:
    """A holder gets another identity key, in the same HSM."""

    scheme: str
    epoch: int
    holder: str
    identity_key: str
    """The new one, in hex."""
    known_key: str
    """The one that it has in this wallet now."""


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """A plan in full. `digest` is what it is called by, and what is consented to."""

    digest: str
    kind: Kind
    wallet: str
    deadline: datetime
    consented: bool
    create: PlannedWallet | None
    destroy: PlannedEnd | None
    repair: PlannedRepair | None
    order: ShownOrder | None = None
    reshare: PlannedResharing | None = None
    rotate: PlannedRotation | None = None


@dataclass(frozen=True, slots=True)
class Plans:
    """All that wait, those whose deadline comes first before the others."""

    plans: tuple[ShownPlan, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a plan."""

    digest: str
    kind: Kind
    wallet: str
    consented: bool
    expiry: datetime | None
    """Until when the consent holds; it serves once."""


def waiting(config_path: Path, prompt: bool) -> Plans:
    """Every plan that this holder was asked to take part in, and has not yet."""
    running = asked(load_holder(config_path), AdminMethod.PLANS, Plans)
    if running is not None:
        return running
    return at_rest(config_path, prompt, lambda _, desks: of(desks.ceremonies.consents))


def find(plans: Plans, name: str, *, unseen: bool = False) -> ShownPlan:
    """The plan whose digest begins with `name`.

    Args:
        unseen: nobody is asked once it is shown: all 64 digits are wanted.

    Raises:
        BadInput: none or several do, or fewer than 16 digits are given.
    """
    wanted = _WHOLE if unseen else _SHORTEST
    if len(name) < wanted:
        raise BadInput(f"plan {name!r}: at least {wanted} digits of its digest are wanted")
    found = [plan for plan in plans.plans if plan.digest.startswith(name.lower())]
    if len(found) != 1:
        raise BadInput(f"{len(found)} plans that begin with {name!r} wait here")
    return found[0]


def admit(config_path: Path, digest: str, prompt: bool) -> Decided:
    """Consent to a plan, once. Its operator has read it.

    Raises:
        BadInput: no such plan waits.
    """
    return _decided(config_path, prompt, AdminMethod.ADMIT, digest, agreed)


def decline(config_path: Path, digest: str, prompt: bool) -> Decided:
    """Take no part in a plan, for good, also if it was consented to.

    Raises:
        BadInput: no such plan waits.
        Refused: `under-way`.
    """
    return _decided(config_path, prompt, AdminMethod.DECLINE, digest, declined)


def of(consents: Consents) -> Plans:
    """As `waiting`, at a holder that is at work."""
    return Plans(tuple(_shown(each, consents) for each in consents.waiting()))


def agreed(consents: Consents, digest: str) -> Decided:
    """As `admit`, at a holder that is at work."""
    plan = find(of(consents), digest)
    consent = consents.agree(bytes.fromhex(plan.digest))
    return Decided(plan.digest, plan.kind, plan.wallet, True, moment(consent.expiry))


def declined(consents: Consents, digest: str) -> Decided:
    """As `decline`, at a holder that is at work."""
    plan = find(of(consents), digest)
    consents.decline(bytes.fromhex(plan.digest))
    return Decided(plan.digest, plan.kind, plan.wallet, False, None)


def _decided(
    config_path: Path,
    prompt: bool,
    method: AdminMethod,
    digest: str,
    decide: Callable[[Consents, str], Decided],
) -> Decided:
    running = asked(load_holder(config_path), method, Decided, digest)
    if running is not None:
        return running
    return at_rest(config_path, prompt, lambda _, desks: decide(desks.ceremonies.consents, digest))


def _shown(each: Waiting, consents: Consents) -> ShownPlan:
    asked = each.asked
    return ShownPlan(
        digest=each.digest.hex(),
        kind=_kind(asked),
        wallet=each.wallet,
        deadline=moment(asked.deadline),
        consented=each.consented,
        create=_wallet(asked, each.named) if isinstance(asked, Proposal) else None,
        reshare=_resharing(asked, each.named) if isinstance(asked, ReshareOrder) else None,
        destroy=_end(asked, each.named) if isinstance(asked, Destroy) else None,
        repair=_repair(asked, each.named, consents) if isinstance(asked, RepairOrder) else None,
        order=_order(asked, each.named, consents) if isinstance(asked, Order) else None,
        rotate=_rotation(asked, each.named, consents) if isinstance(asked, Rotate) else None,
    )


def _kind(asked: Planned) -> Kind:
    if isinstance(asked, Proposal):
        return "create"
    if isinstance(asked, ReshareOrder):
        return "reshare"
    if isinstance(asked, Order):
        return "order"
    if isinstance(asked, Rotate):
        return "rotate"
    return "destroy" if isinstance(asked, Destroy) else "repair"


def _wallet(proposal: Proposal, policy_file: bytes) -> PlannedWallet:
    policy = policy_in(policy_file)
    return PlannedWallet(
        scheme=proposal.scheme.name.lower(),
        threshold=proposal.sizes.t,
        join=proposal.sizes.join,
        adopt=proposal.sizes.adopt,
        holders=_holders(proposal.roster),
        roster=fingerprint_words(proposal.roster.hash),
        policy_sha256=proposal.policy_hash.hex(),
        policy=policy_file.decode(),
        permissions=tuple(sorted(each.value for each in policy.permissions)),
        administrators=planned_administrators(policy.administrators),
        clients=tuple(
            PlannedClient(client.name, client.key.encoded.hex())
            for client in proposal.clients.clients
        ),
    )


def _holders(roster: Roster) -> tuple[PlannedHolder, ...]:
    return tuple(
        PlannedHolder(member.name, member.key.algorithm.name, member.key.encoded.hex())
        for member in roster.members
    )


def _resharing(order: ReshareOrder, named: bytes) -> PlannedResharing:
    (body, in_force), resharing = shared_anew(named), order.resharing
    names = (member.name for member in in_force.members)
    return PlannedResharing(
        scheme=body.terms.scheme.name.lower(),
        epoch=body.epoch,
        before=f"any {body.terms.sizes.t} of {', '.join(names)}",
        threshold=resharing.sizes.t,
        join=resharing.sizes.join,
        adopt=resharing.sizes.adopt,
        holders=_holders(resharing.roster),
        roster=fingerprint_words(resharing.roster.hash),
        reason=order.reason,
    )


def _order(order: Order, encoded: bytes, consents: Consents) -> ShownOrder:
    body = EpochBody.from_bytes(encoded)
    return shown_order(order, body, consents.roster_of(body), None)


def _end(order: Destroy, encoded: bytes) -> PlannedEnd:
    body = EpochBody.from_bytes(encoded)
    return PlannedEnd(body.terms.scheme.name.lower(), body.epoch, order.reason)


def _repair(order: RepairOrder, encoded: bytes, consents: Consents) -> PlannedRepair:
    body = EpochBody.from_bytes(encoded)
    return planned_repair(order, body, consents.roster_of(body))


def _rotation(rotate: Rotate, encoded: bytes, consents: Consents) -> PlannedRotation:
    body = EpochBody.from_bytes(encoded)
    return PlannedRotation(
        scheme=body.terms.scheme.name.lower(),
        epoch=body.epoch,
        holder=consents.roster_of(body).member(rotate.index).name,
        identity_key=rotate.identity_key.encoded.hex(),
        known_key=rotate.known_key.encoded.hex(),
    )
