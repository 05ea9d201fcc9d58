"""Protected memory: as much as the configuration wants, of the best kind that this host gives."""

from __future__ import annotations

import resource

from hsm_mpc.app.doctor.findings import Finding, failed, ok, warn
from hsm_mpc.config import HolderConfig
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.secure.aead import Aes256Gcm
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.mapping import memfd_secret_exists

_LIMIT = "LimitMEMLOCK=8M in the systemd unit, or a smaller memory.kib in holder.yaml"


def tried(config: HolderConfig) -> list[Finding]:
    """By taking as much as a signer takes."""
    try:
        arena = Arena(config.memory.kib * 1024, config.memory.backend)
    except HsmMpcError as failure:
        return [failed("memory", failure, _LIMIT)]
    kind = arena.kind
    arena.close()
    return [_judged(config, kind, "")]


def in_use(config: HolderConfig, arena: Arena) -> list[Finding]:
    """Of a signer that has it already."""
    return [_judged(config, arena.kind, f", {arena.free_bytes // 1024} KiB of it free")]


def _judged(config: HolderConfig, kind: str, use: str) -> Finding:
    wanted = config.memory.kib
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    room = "no limit" if limit == resource.RLIM_INFINITY else f"limit {limit // 1024} KiB"
    found = f"{wanted} KiB of {kind}{use}, {room}; AES by {Aes256Gcm().name}"
    if limit != resource.RLIM_INFINITY and limit < wanted * 1024:
        message = f"{found}: beyond the limit, which only a privileged process may pass"
        return warn("memory", message, _LIMIT)
    if kind != "memfd_secret":
        why = "configured" if memfd_secret_exists() else "this kernel has no memfd_secret"
        message = f"{found}; {why}: root of this host can read open secrets"
        return warn("memory", message, "memory.backend: auto, on a kernel with memfd_secret")
    return ok("memory", found)
