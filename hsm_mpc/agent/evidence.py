"""Evidence of a cheat as one file: the signed messages, and the channels under which they verify.

    "HMPC-EVIDENCE1" ‖ LV16(reason) ‖ u16be(count) ‖ Σ LV32(message)
    ‖ u16be(count) ‖ Σ( u16be(holder) ‖ LV16(CHANNEL) ) ‖ LV32(lineage)

With the roster anybody can check it, whenever: a CHANNEL is judged at the time of the message. The
lineage says whose key was another one by then: what a lost HSM says convicts nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.encoding import Reader, lv16, lv32, lv32_list, u16be
from hsm_mpc.errors import BadEncoding
from hsm_mpc.store.evidence import Evidence
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import CHANNEL, Key

_MAGIC: Final = b"HMPC-EVIDENCE1"
_LONGEST_REASON: Final = 1000


@dataclass(frozen=True, slots=True)
class Case:
    """Why somebody is blamed, and what proves it."""

    reason: str
    messages: tuple[bytes, ...]
    channels: tuple[tuple[int, bytes], ...]
    """The CHANNELs, as in step 1.6.2a, of those who signed a message with key 1."""
    lineage: bytes = b""
    """What had amended the wallet's roster (`succession.lineage`)."""

    def to_bytes(self) -> bytes:
        """The file."""
        return (
            _MAGIC
            + lv16(self.reason.encode()[:_LONGEST_REASON])
            + lv32_list(self.messages)
            + u16be(len(self.channels))
            + b"".join(u16be(holder) + lv16(channel) for holder, channel in self.channels)
            + lv32(self.lineage)
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> Case:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "evidence")
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise BadEncoding("evidence: it is none")
        case = cls(
            reader.lv16().decode("utf-8", "replace"),
            reader.lv32_list(),
            tuple((reader.u16be(), reader.lv16()) for _ in range(reader.u16be())),
            reader.lv32(),
        )
        reader.end()
        return case


def keep_evidence(
    store: Evidence, keys: KeyBook, reason: str, messages: Sequence[bytes], lineage: bytes = b""
) -> Mapping[str, str]:
    """Put a case on disk; what an audit line says of it: the file's name, or nothing.

    Raises:
        BackendError, Tampered: as the store.
    """
    if not messages:
        return {}
    name = store.keep(case_of(keys, reason, messages, lineage).to_bytes())
    return {} if name is None else {"evidence": name}


def case_of(keys: KeyBook, reason: str, messages: Sequence[bytes], lineage: bytes) -> Case:
    """What these messages prove, with the channels under which they verify."""
    parsed = [parse_envelope(message) for message in messages]
    said = [each for each in parsed if each.key is Key.CHANNEL and each.kind is not CHANNEL]
    signers = sorted({each.address.sender for each in said})  # CHANNEL shows its own
    channels = [
        (signer, channel.to_bytes()) for signer in signers for channel in keys.channels_ever(signer)
    ]
    return Case(reason, tuple(messages), tuple(channels), lineage)


def keep_first(store: Evidence, case: Case, say: Callable[[Mapping[str, str]], None]) -> None:
    """Put a case on disk, after `say` was told the name of its file; one that is there already is
    not told of again. Where there is no room for it, it is told of without a file.

    Raises:
        BackendError, Tampered: as the store, or `say`.
    """
    content = case.to_bytes()
    name = hashlib.sha256(content)
    if name.digest() in store.kept():
        return
    say({"evidence": name.hexdigest()} if store.has_room(content) else {})
    store.keep(content)
