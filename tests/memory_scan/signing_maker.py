"""Makes a wallet of two holders, and tells what the first one's blob holds, and its data key.

    python -m tests.memory_scan.signing_maker FOLDER MODULE > SECRETS

SECRETS: d[32] ‖ v[32] ‖ data key[32] in hex. This process is gone before the target starts to work.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.hsm.module import Module
from hsm_mpc.secure.arena import Arena, Secret, publish
from hsm_mpc.secure.process import run_shielded
from tests.agent.simulate import Party, World, made_wallet
from tests.memory_scan.checkpoints import around_the_content
from tests.memory_scan.scene import SHARE_BYTES, Folder, SigningFolder

HOLDERS: Final = 2


def contents(share: OpenableShare, arena: Arena) -> bytes:
    """What nobody but this maker ever takes out of protected memory."""
    data_keys: list[bytes] = []

    def keep_data_key(data_key: Secret) -> None:
        data_keys.append(publish(data_key))

    with around_the_content(keep_data_key, lambda _: None), arena.scope() as take:
        into = take(SHARE_BYTES)
        share.open_into(into)
        return publish(into) + data_keys[0]


def made(world: World, folder: SigningFolder) -> bytes:
    certificate = made_wallet(world)
    folder.certificate.write_bytes(certificate.to_bytes())
    first: Party = world.parties[1]
    wallet = first.wallets.signing(certificate.body.terms.wallet_id, certificate.body.hash)
    return contents(wallet.share, first.acting.arena)


def main() -> None:
    folder = SigningFolder(Path(sys.argv[1]))
    environment = Folder(folder.path, sys.argv[2]).environment
    module = Module.load(sys.argv[2], environment)
    with World.made(module, Arena(16 * 1024), folder.path, HOLDERS) as world:
        labels = [party.acting.token.label for party in world.parties.values()]
        folder.write_tokens(labels)
        sys.stdout.write(run_shielded(lambda: made(world, folder)).hex())


if __name__ == "__main__":
    main()
