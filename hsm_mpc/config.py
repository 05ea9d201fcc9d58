"""Configuration: YAML to frozen models. An unknown key is an error, never ignored."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hsm_mpc.errors import BadConfig, BadInput
from hsm_mpc.policy_file import document_in
from hsm_mpc.regular import read_regular

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LARGEST_FILE = 64 * 1024
_LONGEST_SOCKET_PATH = 107
"""Bytes that the kernel and gRPC take."""
_REFRESH_MIN_INTERVAL = 3600
"""Seconds; in a lab 0."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9._-]{1,64}$")]
DailyHours = Annotated[
    str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$")
]
PublicKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""An Ed25519 public key in lower-case hex."""


AcceptedFinding = Literal["key-not-local", "non-extractable-is-wrapped", "sensitive-is-told"]
"""The names in hsm_mpc/hsm/giveaways.py, which says what each means."""

ProfileName = Literal[
    "standard",
    "softhsm",
    "nss",
    "opencryptoki",
    "aws-cloudhsm",
    "luna",
    "luna-fips",
    "nshield",
    "utimaco",
    "yubihsm2",
]
"""The names in hsm_mpc/hsm/profiles.py, which says what each means."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


_Loaded = TypeVar("_Loaded", bound=_Model)


class HsmConfig(_Model):
    """Where the HSM is: a PKCS#11 module, a token in it, and where its PIN comes from."""

    module: str
    """Absolute path of the PKCS#11 module (a shared library)."""
    token: str = Field(min_length=1, max_length=32)
    """Label of the token."""
    serial: str | None = Field(default=None, min_length=1, max_length=16)
    """Serial number of the token: needed where two tokens have one label."""
    pin_source: str
    """`file:PATH`, `fd:NUMBER`, `credential:NAME` (systemd) or `prompt`."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables that the module wants, such as SOFTHSM2_CONF."""
    parameters: str = ""
    """Text for the module's C_Initialize; NSS wants one."""
    profile: ProfileName | None = None
    """How the token departs from the standard; without it its manufacturer says so."""
    accept_findings: Annotated[tuple[AcceptedFinding, ...], Field(strict=False)] = ()
    """What this token may give away of its keys; `holder init` refuses any other."""


class MemoryConfig(_Model):
    """Protected memory."""

    backend: Literal["auto", "memfd_secret", "locked"] = "auto"
    kib: int = Field(default=256, ge=16, le=65536)
    """Size of the arena in KiB."""


class FrontConfig(_Model):
    """The front: the process that coordinators dial."""

    socket: Path
    """A unix socket in a folder that holds nothing else; at most 107 bytes long."""
    group: str | None = None
    """A group whose members may dial, besides the front's own user."""
    user: str | None = None
    """A user of its own, for a signer that may change users. Else it runs as the signer's."""


class KnownCoordinator(_Model):
    """A coordinator that this holder listens to (step 1.6.10)."""

    number: int = Field(ge=0x8000, le=0xFFFF)
    key: PublicKey


class KnownClient(_Model):
    """A client that a lab holder lets into new wallets by itself (step 2.6.1)."""

    name: Name
    key: PublicKey


class HolderConfig(_Model):
    """One holder on one host."""

    version: Literal[1]
    name: Name
    lab: bool = False
    """A lab holder consents by itself and is refused by production rosters."""
    address: str = ""
    """Where this holder's front listens; public, it stands in the card."""
    store: Path
    roster: Path | None = None
    """The roster that this holder's operator trusts; there is none before the first one is made."""
    hsm: HsmConfig
    memory: MemoryConfig = MemoryConfig()
    front: FrontConfig | None = None
    """Without it there is no `agent run`."""
    admin_socket: Path = Path("admin/socket")
    """Where the running signer hears this holder's own verbs; its folder is private (0700)."""
    workers: int = Field(default=2, ge=1, le=64)
    """Calls that the signer works on at once."""
    admit: Literal["ask"] | None = None
    """`ask`: in a lab, too, this holder takes part only in what its operator has admitted."""
    refresh_min_interval: int | None = Field(default=None, ge=0)
    """Seconds from the end of an epoch to the next refresh; without it 3600, in a lab 0."""
    coordinators: Annotated[tuple[KnownCoordinator, ...], Field(strict=False)] = ()
    clients: Annotated[tuple[KnownClient, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _check(self) -> HolderConfig:
        numbers = [coordinator.number for coordinator in self.coordinators]
        if len(set(numbers)) != len(numbers):
            raise ValueError("coordinators: a number stands there twice")
        if self.front is not None and len(os.fsencode(self.front.socket)) > _LONGEST_SOCKET_PATH:
            raise ValueError(f"front.socket: more than {_LONGEST_SOCKET_PATH} bytes")
        if self.front is not None and self.front.socket.parent == self.admin_socket.parent:
            raise ValueError("front.socket and admin_socket want folders of their own")
        return self

    @property
    def seconds_between_refreshes(self) -> int:
        """What `refresh_min_interval` says or means."""
        if self.refresh_min_interval is not None:
            return self.refresh_min_interval
        return 0 if self.lab else _REFRESH_MIN_INTERVAL


class RefreshConfig(_Model):
    """When wallets are refreshed without anybody asking."""

    interval: int = Field(ge=60)
    """Seconds from when this coordinator first saw an epoch to its refresh."""
    jitter: int = Field(default=0, ge=0)
    """Seconds by which that may be put off, for each epoch others."""
    quiet_hours: Annotated[tuple[DailyHours, ...], Field(strict=False)] = ()
    """`HH:MM-HH:MM` UTC: no refresh begins then."""

    @model_validator(mode="after")
    def _check(self) -> RefreshConfig:
        for hours in self.quiet_hours:
            begin, end = hours.split("-")
            if begin == end:
                raise ValueError(f"quiet_hours: {hours} is no time at all, or every time")
        return self


class CoordinatorConfig(_Model):
    """One coordinator (`coordinator run`)."""

    version: Literal[1]
    number: int = Field(ge=0x8000, le=0xFFFF)
    """0x8000 + c, as holders list it (step 1.6.10)."""
    key: Path
    """Its key file, made by `coordinator init`."""
    roster: Path
    registry: Path
    """The database of wallets; losing it loses nothing, as the holders have all of it."""
    listen: Path
    """A unix socket for clients; at most 107 bytes long."""
    holders: dict[Name, Path]
    """The socket of each holder's front, by the holder's name."""
    refresh: RefreshConfig | None = None
    """Without it wallets are refreshed when somebody asks (`wallet refresh`)."""
    metrics_port: int | None = Field(default=None, ge=1, le=0xFFFF)
    """Where on 127.0.0.1 a Prometheus server reads (coordinator/metrics.py); None: nowhere."""


class ClientConfig(_Model):
    """One client (`wallet`, `sign`, `verify`)."""

    version: Literal[1]
    name: Name
    key: Path
    """Its request key, made by `client init`."""
    roster: Path
    """The pinned roster: whatever a coordinator says is checked under it."""
    coordinator: Path
    """The socket of a coordinator."""


def _read(path: Path) -> str:
    try:
        content, state = read_regular(path, _LARGEST_FILE)
    except BadInput as failure:
        raise BadConfig(f"configuration {failure}") from failure
    if state.st_mode & _WRITABLE_BY_OTHERS:
        raise BadConfig(f"configuration {path}: others may write it; mend: chmod go-w {path}")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as failure:
        raise BadConfig(f"configuration {path}: not UTF-8") from failure


def load_holder(path: Path) -> HolderConfig:
    """Read `holder.yaml`; relative paths in it are relative to its folder.

    Raises:
        BadConfig: not readable, writable by others, not YAML, or a key or value that is unknown.
    """
    return _load(path, HolderConfig, _with_absolute_paths)


def load_coordinator(path: Path) -> CoordinatorConfig:
    """Read `coordinator.yaml`; `BadConfig` as `load_holder`."""

    def absolute(document: dict[str, Any], folder: Path) -> dict[str, Any]:
        resolved = _resolved(document, ("key", "roster", "registry", "listen"), folder)
        if isinstance(holders := document.get("holders"), dict):
            resolved["holders"] = _resolved(holders, tuple(holders), folder)
        return resolved

    return _load(path, CoordinatorConfig, absolute)


def load_client(path: Path) -> ClientConfig:
    """Read `client.yaml`; `BadConfig` as `load_holder`."""
    return _load(
        path,
        ClientConfig,
        lambda document, folder: _resolved(document, ("key", "roster", "coordinator"), folder),
    )


def _load(
    path: Path, model: type[_Loaded], absolute: Callable[[dict[str, Any], Path], dict[str, Any]]
) -> _Loaded:
    path = path.absolute()
    document = document_in(_read(path), f"configuration {path}")
    if not isinstance(document, dict):
        raise BadConfig(f"configuration {path}: a mapping is wanted at the top")
    try:
        return model.model_validate(absolute(document, path.parent))
    except ValidationError as failure:
        raise BadConfig(f"configuration {path}: {_first(failure)}") from failure


def _resolved(document: dict[str, Any], names: Iterable[str], folder: Path) -> dict[str, Any]:
    """`document` with the texts under `names` as paths, resolved against `folder`."""
    resolved = dict(document)
    for name in names:
        if isinstance(document.get(name), str):
            resolved[name] = folder / document[name]
    return resolved


def _with_absolute_paths(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """All paths in the document, resolved against the folder of the file."""
    with_default = {
        "admin_socket": str(HolderConfig.model_fields["admin_socket"].default),
        **document,
    }
    resolved = _resolved(with_default, ("store", "roster", "admin_socket"), folder)
    front = document.get("front")
    if isinstance(front, dict) and isinstance(front.get("socket"), str):
        resolved["front"] = {**front, "socket": folder / front["socket"]}
    hsm = document.get("hsm")
    if isinstance(hsm, dict):
        resolved["hsm"] = dict(hsm)
        if isinstance(hsm.get("module"), str):
            resolved["hsm"]["module"] = str(folder / hsm["module"])
        source = hsm.get("pin_source")
        if isinstance(source, str) and source.startswith("file:"):
            resolved["hsm"]["pin_source"] = f"file:{folder / source.removeprefix('file:')}"
        if isinstance(hsm.get("environment"), dict):
            resolved["hsm"]["environment"] = {
                name: _absolute_if_relative_file(value, folder)
                for name, value in hsm["environment"].items()
            }
        if isinstance(hsm.get("parameters"), str):
            resolved["hsm"]["parameters"] = hsm["parameters"].replace("sql:./", f"sql:{folder}/")
    return resolved


def _absolute_if_relative_file(value: Any, folder: Path) -> Any:
    """A value such as `./softhsm2.conf` becomes absolute; any other value stays as it is."""
    if isinstance(value, str) and value.startswith("./"):
        return str(folder / value)
    return value


def _first(failure: ValidationError) -> str:
    error = failure.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg'].lower()}"
