"""`admin init`, `admin sign`: the key of an administrator, and what it signs (1.6.8, 6.5.9, 6.7.2).

The key is an Ed25519 seed in a file, or whatever an ssh-agent has. Beside it stands for which
successor of which epoch it has signed an order: an administrator never signs two for one epoch. Of
repairs nothing has to stand there: two of them decide nothing against each other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc import seed_file, ssh_agent
from hsm_mpc.app.order_files import Shown, read_plan, shown_of, signature_file, write_new
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.errors import BackendError, BadInput, Refused
from hsm_mpc.policy.rules import Administrators
from hsm_mpc.regular import alone_in, replace_durably
from hsm_mpc.secure.arena import Arena
from hsm_mpc.steps import step

_ARENA_BYTES: Final = 16 * 1024

SigningKey = seed_file.SeedKey | ssh_agent.AgentKey


@dataclass(frozen=True, slots=True)
class AdministratorKey:
    """What goes into a policy's list of administrators."""

    alg: int
    key: str
    """In hex."""
    file: Path | None
    """None: an ssh-agent has it."""
    comment: str = ""
    """What that calls it."""


@dataclass(frozen=True, slots=True)
class AdministratorKeys:
    """All that an ssh-agent has."""

    keys: tuple[AdministratorKey, ...]


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where an administrator's key is, and where it is remembered what it has ordered."""

    file: Path | None
    """None: an ssh-agent has it."""
    orders: Path

    @classmethod
    def of_file(cls, file: Path) -> KeyPlace:
        """Of a key in a file: its neighbour remembers."""
        return cls(file, file.with_suffix(".orders"))

    @classmethod
    def of_agent(cls, orders: Path) -> KeyPlace:
        """Of a key in an ssh-agent."""
        return cls(None, orders)


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order that one administrator has signed."""

    order: Shown
    administrator: int
    """Its place in the policy, from 0."""
    file: Path
    """For `--signature` of `wallet order` or `wallet repair`."""


def init(key_file: Path) -> AdministratorKey:
    """Draw a key.

    Raises:
        NameTaken: the file is there already.
    """
    arena = Arena(_ARENA_BYTES)
    key = seed_file.create(key_file, arena).key
    arena.close()
    return AdministratorKey(key.algorithm, key.encoded.hex(), key_file)


def in_agent() -> AdministratorKeys:
    """The keys in the ssh-agent that may be an administrator's: Ed25519 or P-256.

    Raises:
        BadConfig, BackendError: as `ssh_agent.listed`.
    """
    return AdministratorKeys(
        tuple(
            AdministratorKey(each.key.algorithm, each.key.encoded.hex(), None, each.comment)
            for each in ssh_agent.listed()
        )
    )


def show(plan_file: Path) -> Shown:
    """The order in a file of `wallet order --plan` or `wallet repair --plan`.

    Raises:
        BadInput: it is none.
    """
    return shown_of(read_plan(plan_file))


def sign(plan_file: Path, place: KeyPlace, out: Path, digest: str) -> SignedOrder:
    """Sign the order in a file, which somebody has read as `digest`.

    Raises:
        BadInput: it is none, or another one by now; or the policy names nobody with this key.
        Refused: `deadline`; or `other-order`: this key has signed another one for that epoch.
        BadConfig: the key cannot be used.
        BackendError: the disk fails; or the ssh-agent does not sign.
    """
    plan = read_plan(plan_file)
    order, administrators = plan.order, plan.administrators
    if plan.plan.digest.hex() != digest:
        raise BadInput(f"{plan_file}: another order than the one that was shown")
    if order.deadline < time.time():
        raise Refused("deadline", "the time of that order is over: it is asked for anew")
    if administrators is None:
        raise BadInput("the wallet's policy names no administrators: its holders sign that order")
    with _key(place, administrators) as key:
        number = administrators.keys.index(key.key)
        if isinstance(order, Order):
            with alone_in(place.orders.parent, BackendError):  # another one may sign by this key
                _remember(place.orders, order)
        signature = OrderSignature(number, key.key.algorithm, key.sign(plan.tag, order.terms))
    write_new(out, signature_file(order, signature))
    return SignedOrder(shown_of(plan), number, out)


def _remember(file: Path, order: Order) -> None:
    """Durable before anything is signed (step 6.5.9).

    Raises:
        Refused: `other-order`: another successor of that epoch stands there.
        BackendError: the file cannot be read or written.
    """
    epoch, line = order.epoch_hash.hex(), f"{order.epoch_hash.hex()} {order.successor.hex()}"
    try:
        known = file.read_text("ascii").splitlines() if file.exists() else []
        signed = [each for each in known if each.startswith(epoch)]
        if any(each != line for each in signed):
            raise Refused(
                "other-order", f"this key has ordered another successor of that epoch: {file}"
            )
        if not signed:
            with step("orders.remember"):
                text = "".join(f"{each}\n" for each in (*known, line))
                replace_durably(file, text.encode("ascii"))
    except (OSError, UnicodeDecodeError) as failure:
        raise BackendError(f"{file}: {failure}") from failure


@contextmanager
def _key(place: KeyPlace, administrators: Administrators) -> Iterator[SigningKey]:
    """The key in this place, which is one of these."""
    if place.file is None:
        yield _only_key_in_agent(administrators)
        return
    arena = Arena(_ARENA_BYTES)
    try:
        key = seed_file.load(place.file, arena)
        if key.key not in administrators.keys:
            raise BadInput(f"key file {place.file}: it is not one of the wallet's administrators")
        yield key
    finally:
        arena.close()


def _only_key_in_agent(administrators: Administrators) -> ssh_agent.AgentKey:
    found = [each for each in ssh_agent.listed() if each.key in administrators.keys]
    if not found:
        raise BadInput("ssh-agent: it has no key of the wallet's administrators")
    if len(found) > 1:
        names = ", ".join(each.comment for each in found)
        raise BadInput(f"ssh-agent: it has keys of more than one administrator: {names}")
    return found[0]
