"""n holders and a relay in one process, on real tokens. Bytes go through `World.carry`."""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Protocol

from hsm_mpc import policy_file
from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.arrival.desk import Arrivals
from hsm_mpc.agent.ceremonies import Ceremonies
from hsm_mpc.agent.channel import ChannelKeys
from hsm_mpc.agent.destruction import Destructions
from hsm_mpc.agent.own_identity import kept_identity
from hsm_mpc.agent.repair.desk import RepairDesk
from hsm_mpc.agent.rotation import Rotations
from hsm_mpc.agent.signing import SigningDesk
from hsm_mpc.agent.succession.desk import Successions
from hsm_mpc.agent.succession.joining import JoinPace
from hsm_mpc.agent.wallets import HeldWallets
from hsm_mpc.app.acting import suites
from hsm_mpc.card import Card, UnsignedCard
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.clients import Client, ClientList
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import wallet_id_of
from hsm_mpc.coordinator.certifying import assemble
from hsm_mpc.hsm import canary, keys
from hsm_mpc.hsm.canary import AesCanary
from hsm_mpc.hsm.capabilities import Capabilities, Wrapping
from hsm_mpc.hsm.identity import Identity, OwnIdentity
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.register import Registers
from hsm_mpc.hsm.token import Token
from hsm_mpc.identity import Algorithm
from hsm_mpc.ids import EpochHash, HolderIndex, Scheme, WalletId
from hsm_mpc.protocols.signing_messages import SignPayload
from hsm_mpc.requests import Request, RequestType, UnsignedRequest
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.store.holder import HolderStore
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.tags import Tag
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address, seal_envelope
from hsm_mpc.wire.rounds import (
    CERTIFICATE,
    EVERYBODY,
    FIRST_COORDINATOR,
    PROPOSAL,
    REQUEST,
    SIGN,
    Key,
    MessageKind,
)
from tests.agent.tokens import empty
from tests.hsm.lying import rsa_only
from tests.softhsm import USER_PIN, create_token, secret_of, throw_away
from tests.software_identity import SoftwareKey, ed25519_key

LAB_POLICY = b"version: 1\npermissions: [raw, message, message-prefixed]\n"
NOTHING = bytes(32)
WITH_ALL = Capabilities(Wrapping.AES_GCM, Algorithm.P256)
RSA_ONLY = Capabilities(Wrapping.RSA_OAEP_SHA1, Algorithm.RSA3072)
"""What the self-test finds of SoftHSM, and of SoftHSM without AES-GCM and curves."""


@dataclass
class Party:
    """One holder with everything that its signer process has."""

    acting: ActingHolder
    wallets: HeldWallets
    ceremonies: Ceremonies
    desk: SigningDesk
    successions: Successions
    destructions: Destructions
    repairs: RepairDesk
    arrivals: Arrivals
    rotations: Rotations


@dataclass
class World:
    """The holders' parties by index, and the keys of the one coordinator and the one client."""

    parties: dict[int, Party]
    roster: Roster
    coordinator: SoftwareKey
    client: SoftwareKey
    now: list[int] = field(default_factory=lambda: [int(time.time())])
    """Seconds since 1970, as every holder's clock says."""
    later: list[float] = field(default_factory=lambda: [0.0])
    """Seconds by which the clocks that only run forward are ahead."""
    asking: frozenset[int] = frozenset()
    """The holders whose operators are asked, by each one's configuration when its signer starts."""
    seconds_between_refreshes: int = 0
    """As each holder's configuration says when its signer starts."""
    rivals: tuple[SoftwareKey, ...] = ()
    """Further coordinators, numbered on from the first, by each holder's configuration, too."""

    @classmethod
    def of(cls, identities: Sequence[Identity]) -> World:
        """The roster of these holders, whose parties are still to be added."""
        members = [
            Member(f"h{index}", identity.key) for index, identity in enumerate(identities, 1)
        ]
        roster = Roster(True, 1, FIRST_PREDECESSOR, tuple(members))
        return cls({}, roster, ed25519_key(b"1" * 32), ed25519_key(b"2" * 32))

    @classmethod
    @contextmanager
    def made(
        cls, module: Module, pins: Arena, folder: File, n: int, rsa_only: Collection[int] = ()
    ) -> Iterator[World]:
        """Tokens, stores, identities, roster; channels exchanged.

        `rsa_only`: the holders whose token has neither AES-GCM nor elliptic curves.
        """
        tokens = [new_token(module, pins, lacking=index in rsa_only) for index in range(1, n + 1)]
        with cls.on(tokens, folder) as world:
            yield world
        for token in tokens:
            throw_away(token)

    @classmethod
    @contextmanager
    def on(cls, tokens: Sequence[Token], folder: File) -> Iterator[World]:
        """As `made`, on tokens of `new_token`, which may be of several modules."""
        arena = Arena(1024 * 1024)
        identities = [
            Identity(token, keys.generate_identity_key(token, _found_to_do(token).identity))
            for token in tokens
        ]
        world = cls.of(identities)
        for index, (token, identity) in enumerate(zip(tokens, identities, strict=True), 1):
            store = HolderStore.create(folder / f"h{index}")
            world.parties[index] = world.party(index, token, identity, store, arena)
        yield world
        for party in world.parties.values():
            party.acting.store.close()
        arena.close()

    def party(
        self,
        index: int,
        token: Token,
        identity: Identity | OwnIdentity,
        store: HolderStore,
        arena: Arena,
    ) -> Party:
        """A holder as after a start. `identity` is that of its card, which is written once."""
        entropy = Entropy(token.fill_random)
        own = _own_identity(index, token, identity, store)
        acting = ActingHolder(
            me=HolderIndex(index),
            roster=self.roster,
            lab=True,
            asks_operator=index in self.asking,
            clients=frozenset({self.client.public}),
            arena=arena,
            entropy=entropy,
            token=token,
            wrapping=_found_to_do(token).wrapping,
            identity=own,
            registers=Registers(token),
            store=store,
            channel=ChannelKeys(arena, entropy, own.key, own.sign, self.clock()),
            keys=KeyBook(
                self.roster,
                {FIRST_COORDINATOR + k: key.public for k, key in enumerate(self.coordinators)},
            ),
            parse_policy=policy_file.policy,
            clock=self.clock,
        )
        wallets = HeldWallets(acting)
        ceremonies = Ceremonies(acting, wallets, suites(), self.ticks)
        desk = SigningDesk(acting, wallets, self.ticks)
        pace = JoinPace(self.ticks, self.seconds_between_refreshes)
        consents = ceremonies.consents
        successions = Successions(acting, wallets, suites(), desk.forget_epoch, pace, consents)
        destructions = Destructions(acting, ceremonies, successions, desk.forget_epoch)
        repairs = RepairDesk(acting, wallets, consents, successions, suites())
        rotations = Rotations(acting, wallets, consents, successions)
        rotations.settle()
        arrivals = Arrivals(acting, wallets, consents, successions, suites(), self.ticks)
        destructions.recover()
        ceremonies.recover()
        successions.recover()
        repairs.settle()
        arrivals.settle()
        return Party(
            acting,
            wallets,
            ceremonies,
            desk,
            successions,
            destructions,
            repairs,
            arrivals,
            rotations,
        )

    def restarted(self, index: int) -> None:
        """The signer of this holder died and starts again: nothing in memory is left."""
        party = self.parties[index]
        old = party.acting
        old.store.close()
        party.desk.forget()
        old.channel.wipe()
        store = HolderStore.open(old.store._folder)
        self.parties[index] = self.party(index, old.token, old.identity, store, old.arena)

    def replaced(self, index: int, token: Token) -> None:
        """This holder has lost its HSM and its host: a new token, another identity key, no file."""
        old = self.parties[index]
        old.acting.store.close()
        old.desk.forget()
        old.acting.channel.wipe()
        folder = old.acting.store._folder
        shutil.rmtree(folder)
        identity = Identity(token, keys.generate_identity_key(token, _found_to_do(token).identity))
        store = HolderStore.create(folder)
        self.parties[index] = self.party(index, token, identity, store, old.acting.arena)

    def lost_store(self, index: int) -> None:
        """All files of all wallets are gone from this holder's disk; its HSM has its keys still."""
        for wallet in (self.parties[index].acting.store._folder / "wallets").iterdir():
            shutil.rmtree(wallet)
        self.restarted(index)

    def lost_hsm(self, index: int) -> None:
        """`replaced`, where the new HSM is the old one, emptied: making a token takes long."""
        token = self.parties[index].acting.token
        empty(token)
        self.replaced(index, token)

    @property
    def coordinators(self) -> tuple[SoftwareKey, ...]:
        """All of them."""
        return (self.coordinator, *self.rivals)

    def clock(self) -> int:
        return self.now[0]

    def ticks(self) -> float:
        return time.monotonic() + self.later[0]

    def free_bytes(self) -> int:
        """What is left of the protected memory that all holders of this world share."""
        gc.collect()
        return self.parties[1].acting.arena.free_bytes

    def said(
        self,
        kind: MessageKind,
        wallet_id: WalletId,
        session: bytes,
        h: bytes,
        payload: bytes,
        coordinator: int = 0,
    ) -> bytes:
        """A message of the coordinator of this number, from 0."""
        sender, sign = FIRST_COORDINATOR + coordinator, self.coordinators[coordinator].sign
        address = Address(wallet_id, session, EpochHash(h), sender, EVERYBODY)
        return seal_envelope(kind, address, payload, Key.COORDINATOR, sign).to_bytes()

    def channels(self) -> list[bytes]:
        return [party.acting.channel_announcement() for party in self.parties.values()]

    def proposal(
        self, name: str, t: int, policy: bytes = LAB_POLICY, scheme: Scheme = Scheme.TAPROOT
    ) -> Proposal:
        nonce = os.urandom(32)
        clients = ClientList(
            wallet_id_of(name, nonce), 1, FIRST_PREDECESSOR, (Client("me", self.client.public),)
        )
        return Proposal(
            nonce=nonce,
            name=name,
            scheme=scheme,
            sizes=QuorumSizes.default(len(self.parties), t),
            roster=self.roster,
            policy_hash=hashlib.sha256(policy).digest(),
            clients=clients,
            deadline=self.clock() + 600,
        )

    def proposed(self, proposal: Proposal, policy: bytes = LAB_POLICY) -> list[bytes]:
        """PROPOSAL to all; their HELLOs."""
        message = self.said(
            PROPOSAL, proposal.terms.wallet_id, NOTHING, NOTHING, proposal.to_bytes()
        )
        return self.asked(lambda party: party.ceremonies.propose(message, policy))

    def certified(self, certificate: Certificate) -> bytes:
        """The CERT message."""
        terms, session_id = certificate.body.terms, certificate.extension.session_id
        return self.said(CERTIFICATE, terms.wallet_id, session_id, NOTHING, certificate.to_bytes())

    def requested(
        self,
        certificate: Certificate | SuccessorCertificate,
        message: bytes,
        path: Path | None = None,
    ) -> tuple[Request, bytes]:
        """A request of the client for a signature of `message`, and the REQUEST message."""
        wallet_id = certificate.body.terms.wallet_id
        content = UnsignedRequest(
            wallet_id,
            RequestType.MESSAGE,
            message,
            (path or Path(),),
            b"",
            b"",
            self.clock() + 600,
            os.urandom(32),
        )
        key = self.client.public
        signature = self.client.sign(Tag.CLIENT, content.signed_message(key))
        request = Request(content, key, signature)
        sent = self.said(REQUEST, wallet_id, NOTHING, certificate.body.hash, request.to_bytes())
        return request, sent

    def listed(self, certificate: Certificate, request: Request, commits: Sequence[bytes]) -> bytes:
        """The SIGN message for these COMMITs."""
        h = certificate.body.hash
        payload = SignPayload(0, 0, tuple(commits)).to_bytes()
        return self.said(SIGN, certificate.body.terms.wallet_id, request.session_id(h), h, payload)

    def asked(self, question: Callable[[Party], bytes]) -> list[bytes]:
        return [question(party) for party in self.parties.values()]


def new_token(module: Module, pins: Arena, *, lacking: bool = False) -> Token:
    """A token of a holder, logged in; `lacking`: it has neither AES-GCM nor elliptic curves."""
    token = create_token(module, pins)
    token.login(secret_of(pins, USER_PIN))
    can = RSA_ONLY if lacking else WITH_ALL
    if lacking:
        rsa_only(token)
    keys.generate_canary_key(token, can.wrapping)
    canary.arm(token)
    return token


def _found_to_do(token: Token) -> Capabilities:
    """What a start finds by doing: the canary was made for it."""
    return WITH_ALL if isinstance(token.canary, AesCanary) else RSA_ONLY


class Worlds(Protocol):
    """The fixture `worlds`."""

    def __call__(self, n: int, rsa_only: Collection[int] = ()) -> World: ...


def made_wallet(world: World, t: int = 2, name: str = "treasury") -> Certificate:
    """A wallet that all holders have, active. On a shielded thread."""
    proposal = world.proposal(name, t)
    hellos = world.proposed(proposal)
    dealings = world.asked(lambda party: party.ceremonies.take_hellos(hellos))
    channels = world.channels()
    confirmations = world.asked(lambda party: party.ceremonies.take_dealings(dealings, channels))
    certificate = assemble(proposal, hellos, dealings, confirmations)
    message = world.certified(certificate)
    dones = world.asked(lambda party: party.ceremonies.certify(message))
    for party in world.parties.values():
        party.ceremonies.activate(dones)
    return certificate


def _own_identity(
    index: int, token: Token, identity: Identity | OwnIdentity, store: HolderStore
) -> OwnIdentity:
    if store.card() is None:
        unsigned = UnsignedCard(True, f"h{index}", identity.key, "")
        store.keep_card(Card(unsigned, identity.sign(Tag.CARD, unsigned.to_bytes())).to_bytes())
    own = kept_identity(token, store)
    assert own is not None
    return own
