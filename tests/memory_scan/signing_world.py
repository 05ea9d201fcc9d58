"""The holders of a wallet that another process made, with their tokens and stores."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hsm_mpc.hsm import canary, keys
from hsm_mpc.hsm.identity import Identity
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from hsm_mpc.protocols.signing_messages import CommitPayload
from hsm_mpc.secure.arena import Arena, move_bytes
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.store.holder import HolderStore
from hsm_mpc.wire.envelope import parse_envelope
from tests.agent.rounds import commit_in
from tests.agent.simulate import Party, World
from tests.memory_scan.scene import Folder, SigningFolder
from tests.memory_scan.signing_secrets import FROM_HSM, FROM_SYSTEM
from tests.softhsm import USER_PIN, never_pause, secret_of

LogIn = Callable[[Token], None]


def world_again(folder: SigningFolder, softhsm: str, arena: Arena) -> World:
    """The holders after a restart, each with its token and its store."""
    return world_on(Module.load(softhsm, Folder(folder.path, softhsm).environment), folder, arena)


def world_on(
    module: Module, folder: SigningFolder, arena: Arena, first_logs_in: LogIn | None = None
) -> World:
    """The same with a module that is loaded; the first holder may have a way of its own."""
    log_ins = [first_logs_in or with_user_pin(arena), with_user_pin(arena)]
    tokens = [
        logged_in(module.token(label), log_in)
        for label, log_in in zip(folder.tokens(), log_ins, strict=True)
    ]
    identities = [identity_of(token) for token in tokens]
    world = World.of(identities)
    for index, (token, identity) in enumerate(zip(tokens, identities, strict=True), 1):
        store = HolderStore.open(folder.store(index))
        world.parties[index] = world.party(index, token, identity, store, arena)
    return world


def with_user_pin(arena: Arena) -> LogIn:
    """Every other token of tests has the same PIN."""

    def log_in(token: Token) -> None:
        pin = secret_of(arena, USER_PIN)
        token.login(pin)
        pin.release()

    return log_in


def logged_in(token: Token, log_in: LogIn) -> Token:
    """With a canary; and it finds back, as a signer's does."""
    log_in(token)
    token.recovery.log_in_again = partial(log_in, token)
    never_pause(token)
    assert canary.arm(token)
    return token


def identity_of(token: Token) -> Identity:
    pair = keys.find_identity_key(token)
    assert pair is not None
    return Identity(token, pair)


def with_known_pattern(entropy: Entropy) -> None:
    """From now on every nonce is drawn from what the scanner knows; the lease makes it another.

    The token is asked all the same.
    """
    asked = entropy.hsm_fill

    def from_hsm(pointer: int, length: int) -> None:
        asked(pointer, length)
        move_bytes(pointer, FROM_HSM, length)

    entropy.os_fill = lambda pointer, length: move_bytes(pointer, FROM_SYSTEM, length)
    entropy.hsm_fill = from_hsm


def resigned(party: Party, commit: bytes, nonce: bytes) -> bytes:
    """A COMMIT with another public nonce, signed by its holder."""
    message, payload = parse_envelope(commit), commit_in(commit)
    changed = CommitPayload(payload.k, payload.lease_id, nonce).to_bytes()
    return party.acting.channel_message(message.kind, message.address, changed).to_bytes()
