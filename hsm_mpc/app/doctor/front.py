"""What a front that somebody took over could reach (architecture, section 1)."""

from __future__ import annotations

from hsm_mpc.agent import landlock
from hsm_mpc.app.doctor.findings import Finding, ok, warn
from hsm_mpc.config import HolderConfig


def front(config: HolderConfig) -> list[Finding]:
    """Whether there is one, and what keeps it apart from its signer."""
    if config.front is None:
        mend = "front: {socket: PATH} in holder.yaml"
        return [warn("front", "not configured: `agent run` cannot start", mend)]
    version, user = landlock.abi(), config.front.user
    kept_apart = f"as user {user}" if user else "as the signer's user"
    if landlock.closes_network():
        return [ok("front", f"{kept_apart}, under Landlock {version}: no file, no TCP")]
    if user:
        return [ok("front", f"{kept_apart}; this kernel has Landlock {version}")]
    reach = "no file, but the network" if version else "all that this user reaches"
    message = f"{kept_apart}, Landlock {version}: whoever takes it over reaches {reach}"
    return [warn("front", message, "front.user in holder.yaml, or Linux 6.12 with Landlock")]
