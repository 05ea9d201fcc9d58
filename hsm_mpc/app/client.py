"""A client: `client init`, and the link to a coordinator that the wallets' verbs use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc import seed_file
from hsm_mpc.app.peers import pinned_roster
from hsm_mpc.client.known import KnownWallets
from hsm_mpc.client.wallets import WalletClient
from hsm_mpc.config import ClientConfig, load_client
from hsm_mpc.secure.arena import Arena
from hsm_mpc.wire.grpc_transport import COORDINATOR, GrpcTransport, socket_address

_ARENA_BYTES: Final = 16 * 1024
PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True)
class ClientKey:
    """What goes into client lists."""

    name: str
    key: str
    """Ed25519 public key in hex."""
    file: Path
    """NAME.pub: the same two, to compare with a plan, or for `clients` in a lab's holder.yaml."""


def init(config_path: Path) -> ClientKey:
    """Draw the request key that client.yaml names.

    Raises:
        NameTaken: there is one.
    """
    config = load_client(config_path)
    arena = Arena(_ARENA_BYTES)
    public = seed_file.create(config.key, arena).key.encoded.hex()
    arena.close()
    file = config.key.with_suffix(".pub")
    file.write_text(f"{config.name} {public}\n", "ascii")
    return ClientKey(config.name, public, file)


@contextmanager
def connected(config_path: Path, patience: float = PATIENCE) -> Iterator[WalletClient]:
    """The client of client.yaml with its coordinator.

    Args:
        patience: seconds that a coordinator has to start (again).

    Raises:
        BadConfig: key, roster or socket cannot be used.
        BackendError: no coordinator listens.
    """
    config = load_client(config_path)
    roster = pinned_roster(config.roster)
    with ExitStack() as ending:
        arena = Arena(_ARENA_BYTES)
        ending.callback(arena.close)
        key = seed_file.load(config.key, arena)
        transport = GrpcTransport(COORDINATOR, socket_address(config.coordinator))
        ending.callback(transport.close)
        transport.wait(patience)
        yield WalletClient(
            transport, roster, config.name, key.key, key.sign, _seconds, known_wallets(config)
        )


def known_wallets(config: ClientConfig) -> KnownWallets:
    """In the file beside the client's key."""
    return KnownWallets(config.key.with_suffix(".wallets"))


def _seconds() -> int:
    return int(time.time())
