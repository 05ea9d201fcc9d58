"""From the module's file to a token that would take its PIN, without logging in."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from typing import Final

from hsm_mpc.app.doctor.findings import Finding, fail, failed, ok, warn
from hsm_mpc.app.holder import load_module
from hsm_mpc.config import HolderConfig
from hsm_mpc.errors import BackendError, HsmMpcError
from hsm_mpc.hsm import loading
from hsm_mpc.hsm.pin import PinSource
from hsm_mpc.hsm.profiles import Profile
from hsm_mpc.hsm.token import PinState, TokenInfo

_SAME_SERIALS: Final = frozenset({"0" * 16, "123"})
"""What every token of NSS, and of openCryptoki's software token, has for its serial number."""

_STARTED: Final = (
    "start the daemon or server that this module wants, and run this where it can be reached "
    "(docs/operations.md, Modules)"
)
_FOUND: Final = (
    "correct hsm.token, hsm.serial, hsm.environment or hsm.parameters in holder.yaml; where the "
    "token is new: hsm-mpc token init"
)
_PIN_MENDS: Final = {
    PinState.FEW_TRIES_LEFT: "see to the right PIN in hsm.pin_source, then: hsm-mpc holder login",
    PinState.LAST_TRY: "be sure of the PIN in hsm.pin_source, then: hsm-mpc holder login",
    PinState.LOCKED: "have the security officer set a new user PIN, and put it into hsm.pin_source",
    PinState.NOT_SET: "hsm-mpc token init",
}


def module(config: HolderConfig) -> list[Finding]:
    """Architecture, module, token and PIN: each is looked at if the one before it is well."""
    try:
        library = loading.load(loading.real_path(config.hsm.module))
    except HsmMpcError as failure:
        mend = "install the module for this machine, or correct hsm.module in holder.yaml"
        return [failed("architecture", failure, mend)]
    found = [ok("architecture", f"{config.hsm.module}: for {platform.machine()}, as this Python")]
    try:
        loaded = load_module(config)
        version = loaded.version()
    except HsmMpcError as failure:
        return [*found, failed("module", failure, _STARTED)]
    # `library` is held until here: the linker would unload the module and load it again.
    functions = len(vars(library.calls))
    found.append(ok("module", f"{version}: loaded, with locks and all {functions} functions used"))
    try:
        loaded.slots()
    except HsmMpcError as failure:
        return [*found, failed("token", failure, _STARTED)]
    try:
        token = loaded.find(config.hsm.token, config.hsm.serial)
    except HsmMpcError as failure:
        return [*found, failed("token", failure, _FOUND)]
    return [*found, _token(token), _profile(loaded.profile_of(token)), _pin(token)]


def _token(token: TokenInfo) -> Finding:
    described = (
        f"{token.label!r} found once, in slot {token.slot}: serial {token.serial_text}, "
        f"{token.manufacturer} {token.model}"
    )
    if token.serial_text in _SAME_SERIALS:
        message = f"{described}; every token of this kind has this serial: only the label tells it"
        return warn("token", message, "see to it that no other token has this label")
    return ok("token", described)


def _profile(profile: Profile) -> Finding:
    message = f"{profile}: docs/hsm/{profile.page}"
    if profile.untested:
        return warn("profile", message, "try everything on an empty partition, before a wallet")
    return ok("profile", message)


def _pin(token: TokenInfo) -> Finding:
    state = token.pin_state
    if state is PinState.READY:
        return ok("pin", "set, and no wrong one was tried since the last login")
    if state is PinState.FEW_TRIES_LEFT:
        return warn("pin", state.value, _PIN_MENDS[state])
    return fail("pin", state.value, _PIN_MENDS[state], BackendError.exit_code)


def pin_source(config: HolderConfig, prompt: bool) -> list[Finding]:
    """Whether a start finds a PIN, and this command, too. Nothing is read of it.

    A warning: only a start has it, so that this command cannot log in.
    """
    try:
        source = PinSource.parse(config.hsm.pin_source)
        source.fingerprint()
    except HsmMpcError as failure:
        return [failed("pin-source", failure, "hsm.pin_source in holder.yaml")]
    where = config.hsm.pin_source
    if source.kind == "file":
        return [ok("pin-source", f"{where}: only its owner reads it")]
    message, mend = _ELSEWHERE[source.kind](source.name, prompt)
    return [warn("pin-source", message, mend) if message else ok("pin-source", where)]


def kept_pin_source(config: HolderConfig) -> list[Finding]:
    """Whether a signer that runs finds its PIN again, should it have to log in anew."""
    if PinSource.parse(config.hsm.pin_source).can_be_read_again:
        return pin_source(config, prompt=False)
    message = f"{config.hsm.pin_source}: used up; should the HSM forget this login, the signer ends"
    return [ok("pin-source", f"{message}, and somebody starts it by hand")]


def _descriptor(name: str, _: bool) -> tuple[str, str]:
    if os.path.exists(f"/proc/self/fd/{name}"):
        return "", ""
    return f"fd:{name}: not open here", f"hand it over as to the signer: {name}<FILE"


def _credential(name: str, _: bool) -> tuple[str, str]:
    if os.environ.get("CREDENTIALS_DIRECTORY"):
        return "", ""
    how = f"systemd-run --pty --property=LoadCredential={name}:PATH hsm-mpc …"
    return f"credential:{name}: only the signer's unit has it", how


def _asked_for(_: str, prompt: bool) -> tuple[str, str]:
    if prompt:
        return "", ""
    return "prompt: --no-input forbids to ask", "run this without --no-input"


_ELSEWHERE: Final[dict[str, Callable[[str, bool], tuple[str, str]]]] = {
    "fd": _descriptor,
    "credential": _credential,
    "prompt": _asked_for,
}
"""What keeps this command from the PIN, and the mend; empty if nothing does."""
