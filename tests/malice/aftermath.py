"""What an attack left at a holder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hsm_mpc.agent.evidence import Case
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.cryptoki import Attribute
from hsm_mpc.hsm.keys import WRAPPING_LABEL_PREFIX
from hsm_mpc.hsm.register import Register
from hsm_mpc.ids import WalletId
from tests.agent.making import lines
from tests.agent.simulate import Party


def leaves_nothing(party: Party, proposal: Proposal) -> bool:
    """No key, no register, no share, no key generation of this wallet (step 2.6.2)."""
    acting, wallet_id = party.acting, proposal.terms.wallet_id
    label = WRAPPING_LABEL_PREFIX + wallet_id.hex()
    return (
        not objects.matching(acting.token, {Attribute.LABEL: label.encode()})
        and acting.registers.read(wallet_id) is None
        and party.wallets.of(wallet_id) == ()
        and proposal.hash not in acting.store.proposals.hashes()
    )


def evidence_kept(party: Party, refused: Exception) -> bool:
    """Where it names somebody: the last line in the audit log names a case that proves it."""
    if not isinstance(refused, ProtocolAbort) or not refused.culprits:
        return False
    name = lines(party)[-1].get("evidence")
    return bool(name and Case.from_bytes(party.acting.store.evidence.load(str(name))).messages)


_ALWAYS_GROWS = ("audit", "evidence")
"""Folders of a store in which every refusal may leave something."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """All that lasts of a holder, and how much of its protected memory is free."""

    files: Mapping[str, tuple[int, int, int]]
    """By path what changes when one is written: its number, time and size."""
    registers: Mapping[WalletId, Register | None]
    objects: frozenset[int]
    """Of the token: keys, registers, and what else is on it."""
    free_bytes: int

    @classmethod
    def of(cls, party: Party) -> Footprint:
        acting = party.acting
        token, registers = acting.token, acting.registers
        return cls(
            dict(_files(str(acting.store._folder))),
            {each: registers.read(each) for each in registers.wallet_ids()},
            frozenset(objects.matching(token, {Attribute.TOKEN: objects.TRUE})),
            acting.arena.free_bytes,
        )


def _files(folder: str) -> Iterator[tuple[str, tuple[int, int, int]]]:
    for entry in os.scandir(folder):
        if entry.name in _ALWAYS_GROWS:
            continue
        if entry.is_dir():
            yield from _files(entry.path)
        else:
            found = entry.stat()
            yield entry.path, (found.st_ino, found.st_mtime_ns, found.st_size)
