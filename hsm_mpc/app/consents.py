"""`holder admit`, `holder decline`: what this holder was asked to take part in, and its consent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.agent.consents import Consents, Waiting
from hsm_mpc.app.admin import asked
from hsm_mpc.app.history import moment
from hsm_mpc.app.shares import at_rest
from hsm_mpc.config import load_holder
from hsm_mpc.errors import BadInput
from hsm_mpc.roster import fingerprint_words

_SHORTEST: Final = 8
"""Hexadecimal digits of a digest that name a plan."""


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
class ShownPlan:
    """A plan in full. `digest` is what it is called by, and what is consented to."""

    digest: str
    kind: str
    wallet: str
    scheme: str
    threshold: int
    join: int
    """J: how many a refresh wants."""
    adopt: int
    """W: how many have adopted the next epoch before this one is destroyed."""
    holders: tuple[PlannedHolder, ...]
    roster: str
    """Its fingerprint, in words."""
    policy: str
    clients: tuple[PlannedClient, ...]
    deadline: datetime
    consented: bool


@dataclass(frozen=True, slots=True)
class Plans:
    """All that wait, those whose deadline comes first before the others."""

    plans: tuple[ShownPlan, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a plan."""

    digest: str
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


def find(plans: Plans, name: str) -> ShownPlan:
    """The plan whose digest begins with `name`.

    Raises:
        BadInput: none or several do, or fewer than 8 digits are given.
    """
    if len(name) < _SHORTEST:
        raise BadInput(f"plan {name!r}: at least {_SHORTEST} digits of its digest are wanted")
    found = [plan for plan in plans.plans if plan.digest.startswith(name.lower())]
    if len(found) != 1:
        raise BadInput(f"{len(found)} plans that begin with {name!r} wait here")
    return found[0]


def admit(config_path: Path, digest: str, prompt: bool) -> Decided:
    """Consent to a plan, once. Its operator has read it.

    Raises:
        Refused: `unknown-plan`.
    """
    return _decided(config_path, prompt, AdminMethod.ADMIT, digest, agreed)


def decline(config_path: Path, digest: str, prompt: bool) -> Decided:
    """Take no part in a plan, also if it was consented to.

    Raises:
        Refused: `unknown-plan`.
    """
    return _decided(config_path, prompt, AdminMethod.DECLINE, digest, declined)


def of(consents: Consents) -> Plans:
    """As `waiting`, at a holder that is at work."""
    return Plans(tuple(_shown(each) for each in consents.waiting()))


def agreed(consents: Consents, digest: str) -> Decided:
    """As `admit`, at a holder that is at work."""
    plan = find(of(consents), digest)
    consent = consents.agree(bytes.fromhex(plan.digest))
    return Decided(plan.digest, plan.wallet, True, moment(consent.expiry))


def declined(consents: Consents, digest: str) -> Decided:
    """As `decline`, at a holder that is at work."""
    plan = find(of(consents), digest)
    consents.decline(bytes.fromhex(plan.digest))
    return Decided(plan.digest, plan.wallet, False, None)


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


def _shown(each: Waiting) -> ShownPlan:
    proposal = each.proposal
    return ShownPlan(
        digest=each.digest.hex(),
        kind="create",
        wallet=proposal.name,
        scheme=proposal.scheme.name.lower(),
        threshold=proposal.sizes.t,
        join=proposal.sizes.join,
        adopt=proposal.sizes.adopt,
        holders=tuple(
            PlannedHolder(member.name, member.key.algorithm.name, member.key.encoded.hex())
            for member in proposal.roster.members
        ),
        roster=fingerprint_words(proposal.roster.hash),
        policy=each.policy_file.decode("utf-8", "replace"),
        clients=tuple(
            PlannedClient(client.name, client.key.encoded.hex()) for client in proposal.clients.clients
        ),
        deadline=moment(proposal.deadline),
        consented=each.consented,
    )
