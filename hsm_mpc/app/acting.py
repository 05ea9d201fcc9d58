"""An opened holder, made ready to act: channel keys drawn, peers known, desks open."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from hsm_mpc import policy_file
from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.arrival.desk import Arrivals
from hsm_mpc.agent.ceremonies import Ceremonies
from hsm_mpc.agent.channel import ChannelKeys
from hsm_mpc.agent.destruction import Destructions
from hsm_mpc.agent.dispatch import HolderDesk
from hsm_mpc.agent.holdings import Holdings
from hsm_mpc.agent.repair.desk import RepairDesk
from hsm_mpc.agent.rotation import Rotations
from hsm_mpc.agent.signing import SigningDesk
from hsm_mpc.agent.succession.desk import Successions
from hsm_mpc.agent.succession.joining import JoinPace
from hsm_mpc.agent.wallets import HeldWallets
from hsm_mpc.app.holder import OpenHolder
from hsm_mpc.errors import BadConfig, BadEncoding
from hsm_mpc.hsm.register import Registers
from hsm_mpc.hsm.selftest import require_wrapping
from hsm_mpc.identity import Algorithm, VerifyingKey
from hsm_mpc.ids import Scheme
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.protocols.suite_ed25519 import CocktailEd25519
from hsm_mpc.protocols.suite_secp256k1 import CocktailSecp256k1
from hsm_mpc.roster import refuse_lab_mark_outside
from hsm_mpc.secure.xaes import Xaes256Gcm
from hsm_mpc.wire.channels import KeyBook


@dataclass(frozen=True, slots=True)
class Desks:
    """A holder at work: what answers coordinators, and what answers its operator."""

    holder: ActingHolder
    wallets: HeldWallets
    ceremonies: Ceremonies
    signing: SigningDesk
    successions: Successions
    destructions: Destructions
    repairs: RepairDesk
    arrivals: Arrivals
    rotations: Rotations

    def coordinators_desk(self) -> HolderDesk:
        """What coordinators may call."""
        holdings = Holdings(self.holder)
        return HolderDesk(
            self.holder,
            holdings,
            self.ceremonies,
            self.signing,
            self.successions,
            self.destructions,
            self.repairs,
            self.arrivals,
            self.rotations,
        )

    def close(self) -> None:
        """Wipe the nonces and the channel keys. What else is secret goes with the arena."""
        self.signing.forget()
        self.arrivals.close()
        self.holder.channel.wipe()


def at_work(opened: OpenHolder) -> Desks:
    """Draw channel keys, have them certified, and tidy up what a crash left. Shielded thread.

    Raises:
        NotReady: no identity key, or no roster is configured.
        BadConfig: this holder does not stand in the roster, or a configured key is none.
        Refused: a lab's roster outside a lab; the token wraps no data keys; or its identity key is
            not as it was made.
        BackendError: the token is away.
    """
    config, identity = opened.config, opened.identity()
    identity.require_attributes()
    me, roster = opened.index(), opened.roster()
    refuse_lab_mark_outside(roster.lab, in_lab=config.lab, what="the configured roster")
    coordinators = {entry.number: _key(entry.key, "coordinator") for entry in config.coordinators}
    entropy = opened.entropy
    holder = ActingHolder(
        me=me,
        roster=roster,
        lab=config.lab,
        asks_operator=config.admit == "ask",
        clients=frozenset(_key(entry.key, "client") for entry in config.clients),
        arena=opened.arena,
        entropy=entropy,
        token=opened.token,
        wrapping=require_wrapping(opened.token),
        identity=identity,
        registers=Registers(opened.token),
        store=opened.store,
        channel=ChannelKeys(opened.arena, entropy, identity.key, identity.sign, seconds()),
        keys=KeyBook(roster, coordinators),
        parse_policy=policy_file.policy,
        clock=seconds,
    )
    wallets = HeldWallets(holder)
    ceremonies = Ceremonies(holder, wallets, suites())
    signing = SigningDesk(holder, wallets, time.monotonic)
    pace = JoinPace(time.monotonic, config.seconds_between_refreshes)
    consents = ceremonies.consents
    successions = Successions(holder, wallets, suites(), signing.forget_epoch, pace, consents)
    destructions = Destructions(holder, ceremonies, successions, signing.forget_epoch)
    repairs = RepairDesk(holder, wallets, consents, successions, suites())
    rotations = Rotations(holder, wallets, consents, successions)
    rotations.settle()
    destructions.recover()
    ceremonies.recover()
    successions.recover()
    repairs.settle()
    arrivals = Arrivals(holder, wallets, consents, successions, suites(), time.monotonic)
    arrivals.settle()
    return Desks(
        holder,
        wallets,
        ceremonies,
        signing,
        successions,
        destructions,
        repairs,
        arrivals,
        rotations,
    )


def suites() -> Mapping[Scheme, Suite]:
    """How keys of each scheme are generated."""
    return {
        Scheme.TAPROOT: CocktailSecp256k1(Xaes256Gcm()),
        Scheme.ED25519: CocktailEd25519(),
    }


def seconds() -> int:
    """Since 1970 UTC."""
    return int(time.time())


def _key(hexadecimal: str, whose: str) -> VerifyingKey:
    try:
        return VerifyingKey(Algorithm.ED25519, bytes.fromhex(hexadecimal))
    except BadEncoding as refused:
        raise BadConfig(f"the key {hexadecimal} of a {whose}: {refused}") from refused
