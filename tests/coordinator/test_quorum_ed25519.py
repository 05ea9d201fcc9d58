"""The quorum machine with FROST on Ed25519 (sections 4 and 7)."""

from __future__ import annotations

from hsm_mpc.coordinator.quorum import Quorum
from hsm_mpc.coordinator.quorum_actions import Ask, Exclude, Publish, Send
from hsm_mpc.groups.ed25519 import verify_ed25519
from hsm_mpc.protocols.frost_ed25519.aggregate import Signing
from hsm_mpc.protocols.signing_messages import PartialPayload, SignPayload, list_hash
from hsm_mpc.protocols.wallet_key import Aggregation
from hsm_mpc.secure.arena import Arena
from tests.coordinator.roast import any_set, commitment
from tests.protocols.frost import MESSAGE
from tests.protocols.frost_ed25519 import Wallet, mixed, received, times_b


def test_the_machine_signs_on_ed25519(protocol_arena: Arena) -> None:
    """One cheat, one nonce of mixed order, two honest: only the liars are out."""
    wallet = Wallet.dealt(protocol_arena, 2, 4)
    scheme: Aggregation = Signing(wallet.epoch, MESSAGE)
    quorum = Quorum(2, 4, 0, scheme, any_set)
    quorum.start()
    leases = {index: wallet.lease(index) for index in (1, 2, 3)}
    commits = {index: received(lease.commit) for index, lease in leases.items()}
    (exclude,) = quorum.on_commit(commitment(4, 1, times_b(1) + mixed(times_b(2))))
    assert isinstance(exclude, Exclude) and exclude.index == 4
    quorum.on_commit(commits[1])
    (send,) = quorum.on_commit(commits[2])
    assert isinstance(send, Send)

    def partial(index: int, payload: bytes) -> PartialPayload:
        listed = [received(message) for message in SignPayload.from_bytes(payload).commits]
        signature = wallet.answer(leases[index], listed, wallet.task(index))
        return PartialPayload(leases[index].lease_id, list_hash(payload), signature)

    cheat = PartialPayload(leases[2].lease_id, list_hash(send.payload), b"\1" * 32)
    actions = [*quorum.on_partial(2, cheat, b"cheat")]
    actions += quorum.on_partial(1, partial(1, send.payload), b"honest")
    leases[1] = wallet.lease(1)
    actions += quorum.on_commit(commits[3])
    sent = quorum.on_commit(received(leases[1].commit))
    (again,) = [action for action in sent if isinstance(action, Send)]
    for index in (3, 1):
        actions += quorum.on_partial(index, partial(index, again.payload), b"honest")
    (excluded,) = [action for action in actions if isinstance(action, Exclude)]
    assert (excluded.index, excluded.evidence) == (2, (send.payload, b"cheat"))
    assert Ask(1) in actions
    assert isinstance(actions[-1], Publish)
    verify_ed25519(wallet.key, MESSAGE, actions[-1].signature)
    leases[2].secret_nonce.release()
