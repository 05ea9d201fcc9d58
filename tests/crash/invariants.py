"""What must hold of a holder after every start, whatever was interrupted before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hsm_mpc import audit
from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.agent.wallets import context_of
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.store import audit_log
from tests.agent.making import keks
from tests.agent.rounds import commit_in, partial_in

if TYPE_CHECKING:
    from tests.agent.simulate import Party


@dataclass(frozen=True)
class Remains:
    """What is on disk and in the HSM of a holder after a start."""

    states: dict[bytes, str]
    """Of each wallet that has a share, which opens."""
    keks: tuple[bytes, ...]
    named: tuple[bytes, ...]
    """Wrapping keys that records name."""
    registers: dict[bytes, bytes]
    """wallet_id to h."""
    epochs: dict[bytes, bytes]
    """wallet_id to h, as the records say."""
    proposals: int
    temporary: tuple[str, ...]
    audit_lines: int
    """Of a log whose chain is whole, which its state file knows the end of."""

    @classmethod
    def of(cls, party: Party) -> Remains:
        """On a shielded thread: every share is opened."""
        acting, folder = party.acting, party.acting.store._folder
        held = party.wallets.all()
        registers = {}
        for wallet_id in acting.registers.wallet_ids():
            register = acting.registers.read(wallet_id)
            assert register is not None
            registers[bytes(wallet_id)] = bytes(register.epoch_hash)
        for each in held:
            epochs = acting.epochs(each.wallet_id)
            with acting.arena.scope() as take:
                share = OpenableShare.load(acting.token, epochs, context_of(acting, each.body))
                share.open_into(take(64))
        return cls(
            states={bytes(each.wallet_id): each.record.state.name.lower() for each in held},
            keks=tuple(sorted(keks(party))),
            named=tuple(sorted(KeyUri.parse(each.record.kek_uri).key_id for each in held)),
            registers=registers,
            epochs={bytes(each.wallet_id): bytes(each.body.hash) for each in held},
            proposals=len(acting.store.proposals.hashes()),
            temporary=tuple(str(path) for path in folder.rglob("*") if ".tmp-" in path.name),
            audit_lines=_lines_in(party),
        )

    def require_whole(self) -> None:
        """No key lost, no half wallet: what disk and HSM hold belongs together."""
        assert self.keks == self.named, "a key that no record names, or a record without key"
        assert self.registers.items() <= self.epochs.items()
        assert self.temporary == ()
        waiting = {wallet for wallet, state in self.states.items() if state == "prepared"}
        assert self.proposals == len(waiting)
        assert self.epochs.keys() - self.registers.keys() <= waiting


def _lines_in(party: Party) -> int:
    """Raises: Tampered: the chain is broken, or ends before the state file says."""
    store = party.acting.store
    file, floor = audit_log.open_to_read(store._folder / "audit")
    with file:
        count = len(audit.last_lines(file, 1_000_000, floor))
    assert count == store.audit.tail.seq
    return count


@dataclass
class NonceBook:
    """Every COMMIT and PARTIAL that left a holder: no nonce serves twice."""

    offered: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    """Public nonce to the holder and the session of its COMMIT."""
    dead: set[bytes] = field(default_factory=set)
    """Public nonces of holders that have died since."""
    answered: dict[bytes, bytes] = field(default_factory=dict)
    """Public nonce to the partial signature under it."""

    def commit(self, index: int, session: bytes, message: bytes) -> None:
        """It may be repeated as long as its holder lives."""
        nonce, whose = commit_in(message).public_nonce, (index, session)
        assert self.offered.setdefault(nonce, whose) == whose, "a nonce for two sessions"
        assert nonce not in self.dead, "a nonce outlived its holder's death"

    def partial(self, commit: bytes, message: bytes) -> None:
        """The answer to a list that has this COMMIT."""
        nonce, signature = commit_in(commit).public_nonce, partial_in(message).signature
        assert self.answered.setdefault(nonce, signature) == signature, "a nonce signed twice"

    def died(self, index: int) -> None:
        """Whatever this holder offered is forgotten."""
        self.dead |= {nonce for nonce, (whose, _) in self.offered.items() if whose == index}
