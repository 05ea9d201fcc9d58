"""Makes a wallet of two holders, and tells what the first one's blob holds, and its data key.

    python -m tests.memory_scan.signing_maker FOLDER MODULE SCHEME > SECRETS

SECRETS: share[32] ‖ v[32] ‖ data key[32] in hex. This process is gone before the target starts to
work. Where FOLDER holds a file `pin`, that becomes the PIN of the first holder's token.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.hsm import failures
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import Scheme
from hsm_mpc.secure.arena import Arena, Secret, publish
from hsm_mpc.secure.process import run_shielded
from tests.agent.making import Making
from tests.agent.simulate import Party, World
from tests.memory_scan.checkpoints import around_the_content
from tests.memory_scan.scene import SHARE_BYTES, Folder, SigningFolder
from tests.softhsm import USER_PIN

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


def made(world: World, folder: SigningFolder, scheme: Scheme) -> bytes:
    certificate = Making.of(world, scheme=scheme).active()
    folder.certificate.write_bytes(certificate.to_bytes())
    first: Party = world.parties[1]
    wallet = first.wallets.signing(certificate.body.terms.wallet_id, certificate.body.hash)
    return contents(wallet.share, first.acting.arena)


def change_pin(token: Token, pin: bytes) -> None:
    with token.session() as session:
        code = token.calls.C_SetPIN(session.handle, USER_PIN, len(USER_PIN), pin, len(pin))
    assert code == failures.OK


def main() -> None:
    folder, scheme = SigningFolder(Path(sys.argv[1])), Scheme(int(sys.argv[3]))
    environment = Folder(folder.path, sys.argv[2]).environment
    module = Module.load(sys.argv[2], environment)
    with World.made(module, Arena(16 * 1024), folder.path, HOLDERS) as world:
        labels = [party.acting.token.label for party in world.parties.values()]
        folder.write_tokens(labels)
        sys.stdout.write(run_shielded(lambda: made(world, folder, scheme)).hex())
        if folder.pin.exists():
            change_pin(world.parties[1].acting.token, folder.pin.read_bytes())


if __name__ == "__main__":
    main()
