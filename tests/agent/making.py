"""A wallet being made, round by round: the relay does as it likes, and holders may lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hsm_mpc import audit
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.hello import Hello
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.coordinator.certifying import assemble
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.cryptoki import Attribute
from hsm_mpc.hsm.keys import WRAPPING_LABEL_PREFIX
from hsm_mpc.ids import Scheme, WalletId
from hsm_mpc.store import audit_log
from hsm_mpc.store.record import EpochState
from hsm_mpc.wire.envelope import Address, parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import PROPOSAL, Key
from tests.agent.simulate import LAB_POLICY, NOTHING, Party, World


@dataclass
class Making:
    """What the relay has so far. Each round fills in the next list, of all holders or of some."""

    world: World
    proposal: Proposal
    policy: bytes = LAB_POLICY
    hellos: list[bytes] = field(default_factory=list)
    dealings: list[bytes] = field(default_factory=list)
    confirmations: list[bytes] = field(default_factory=list)
    dones: list[bytes] = field(default_factory=list)
    channels: list[bytes] = field(default_factory=list)
    """As they were when the dealings were made: whoever starts again has another one."""

    @classmethod
    def of(
        cls,
        world: World,
        name: str = "treasury",
        t: int = 2,
        policy: bytes = LAB_POLICY,
        scheme: Scheme = Scheme.TAPROOT,
    ) -> Making:
        return cls(world, world.proposal(name, t, policy, scheme), policy)

    @property
    def wallet_id(self) -> WalletId:
        return self.proposal.terms.wallet_id

    def message(self) -> bytes:
        """PROPOSAL."""
        return self.world.said(PROPOSAL, self.wallet_id, NOTHING, NOTHING, self.proposal.to_bytes())

    def greet(self, index: int) -> bytes:
        return self.world.parties[index].ceremonies.propose(self.message(), self.policy)

    def deal(self, index: int, hellos: Sequence[bytes] | None = None) -> bytes:
        self.channels = self.channels or self.world.channels()
        return self.world.parties[index].ceremonies.take_hellos(hellos or self.hellos)

    def confirm(self, index: int, dealings: Sequence[bytes] | None = None) -> bytes:
        ceremonies = self.world.parties[index].ceremonies
        return ceremonies.take_dealings(dealings or self.dealings, self.channels)

    def certify(self, index: int) -> bytes:
        return self.world.parties[index].ceremonies.certify(self.certified())

    def activate(self, index: int) -> None:
        self.world.parties[index].ceremonies.activate(self.dones)

    def certificate(self) -> Certificate:
        return assemble(self.proposal, self.hellos, self.dealings, self.confirmations)

    def certified(self) -> bytes:
        """The CERT message."""
        return self.world.certified(self.certificate())

    # All holders

    def greeted(self) -> Making:
        self.hellos = self._of_all(self.greet)
        return self

    def dealt(self) -> Making:
        self.greeted()
        self.dealings = self._of_all(self.deal)
        return self

    def confirmed(self) -> Making:
        self.dealt()
        self.confirmations = self._of_all(self.confirm)
        return self

    def done(self) -> Making:
        self.confirmed()
        self.dones = self._of_all(self.certify)
        return self

    def active(self) -> Certificate:
        self.done()
        for index in self.world.parties:
            self.activate(index)
        return self.certificate()

    def _of_all(self, of_one: Callable[[int], bytes]) -> list[bytes]:
        return [of_one(index) for index in self.world.parties]


def resigned(
    world: World, source: bytes, payload: bytes | None = None, address: Address | None = None
) -> bytes:
    """The message with other content, signed by the very holder that signed it."""
    message = parse_envelope(source)
    where = address or message.address
    party = world.parties[where.sender].acting
    sign = (
        party.identity.sign
        if message.key is Key.IDENTITY
        else party.channel.signer(world.clock()).sign
    )
    content = message.payload if payload is None else payload
    return seal_envelope(message.kind, where, content, message.key, sign).to_bytes()


def hello_of(making: Making, index: int) -> Hello:
    """What this holder said, as the relay has it."""
    return Hello.from_bytes(parse_envelope(making.hellos[index - 1]).payload, SECP256K1)


def lied(making: Making, index: int, **changes: bytes) -> None:
    """Holder `index` has said another HELLO, and signed it."""
    said = replace(hello_of(making, index), **changes)
    making.hellos[index - 1] = resigned(making.world, making.hellos[index - 1], said.to_bytes())


# What a holder has


def keks(party: Party) -> list[bytes]:
    """CKA_IDs of all wrapping keys in its token."""
    token = party.acting.token
    found = []
    for handle in objects.matching(token, {Attribute.TOKEN: objects.TRUE}):
        with token.session() as session:
            label = objects.read_attribute(token, session, handle, Attribute.LABEL) or b""
            key_id = objects.read_attribute(token, session, handle, Attribute.ID) or b""
        if label.startswith(WRAPPING_LABEL_PREFIX.encode()):
            found.append(key_id)
    return found


def states(party: Party) -> list[EpochState]:
    """Of all epochs in its store."""
    return [held.record.state for held in party.wallets.all()]


def events(party: Party) -> list[str]:
    """Of all lines in its audit log."""
    return [str(line["event"]) for line in lines(party)]


def lines(party: Party) -> list[dict[str, object]]:
    file, floor = audit_log.open_to_read(party.acting.store._folder / "audit")
    with file:
        return [dict(line.record) for line in audit.last_lines(file, 10_000, floor)]


def is_empty(party: Party) -> bool:
    """Nothing of any wallet is left: no key, no register, no share, no key generation."""
    store = party.acting.store
    return (
        keks(party) == []
        and party.acting.registers.wallet_ids() == ()
        and store.wallet_ids() == ()
        and store.proposals.hashes() == ()
    )
