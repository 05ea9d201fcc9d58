"""The holders of a wallet that another process made, with their tokens and stores."""

from __future__ import annotations

from hsm_mpc.hsm import canary, keys
from hsm_mpc.hsm.identity import Identity
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from hsm_mpc.protocols.frost_bip340.nonces import PUBLIC_NONCE_BYTES
from hsm_mpc.protocols.signing_messages import CommitPayload
from hsm_mpc.secure.arena import Arena, move_bytes
from hsm_mpc.secure.entropy import Entropy, Fill
from hsm_mpc.store.holder import HolderStore
from hsm_mpc.wire.envelope import parse_envelope
from tests.agent.simulate import Party, World
from tests.memory_scan.scene import Folder, SigningFolder
from tests.memory_scan.signing_secrets import FROM_HSM, FROM_SYSTEM
from tests.softhsm import USER_PIN, secret_of


def world_again(folder: SigningFolder, softhsm: str, arena: Arena) -> World:
    """The holders after a restart, each with its token and its store."""
    module = Module.load(softhsm, Folder(folder.path, softhsm).environment)
    tokens = [logged_in(module.token(label), arena) for label in folder.tokens()]
    identities = [identity_of(token) for token in tokens]
    world = World.of(identities)
    for index, (token, identity) in enumerate(zip(tokens, identities, strict=True), 1):
        store = HolderStore.open(folder.store(index))
        world.parties[index] = world.party(index, token, identity, store, arena)
    return world


def logged_in(token: Token, arena: Arena) -> Token:
    token.login(secret_of(arena, USER_PIN))
    assert canary.arm(token)
    return token


def identity_of(token: Token) -> Identity:
    pair = keys.find_identity_key(token)
    assert pair is not None
    return Identity(token, pair)


def with_known_pattern(entropy: Entropy) -> None:
    """From now on every nonce is drawn from what the scanner knows; the lease makes it another."""

    def filling_with(pattern: bytes) -> Fill:
        return lambda pointer, length: move_bytes(pointer, pattern, length)

    entropy.os_fill, entropy.hsm_fill = filling_with(FROM_SYSTEM), filling_with(FROM_HSM)


def payload_of(commit: bytes) -> CommitPayload:
    return CommitPayload.from_bytes(parse_envelope(commit).payload, PUBLIC_NONCE_BYTES)


def resigned(party: Party, commit: bytes, nonce: bytes) -> bytes:
    """A COMMIT with another public nonce, signed by its holder."""
    message, payload = parse_envelope(commit), payload_of(commit)
    changed = CommitPayload(payload.k, payload.lease_id, nonce).to_bytes()
    return party.acting.channel_message(message.kind, message.address, changed).to_bytes()
