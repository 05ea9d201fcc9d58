"""What a holder's verbs ask of its running signer: results as JSON, to and from dataclasses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from hsm_mpc.agent import admin
from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.config import HolderConfig

Method = Callable[[tuple[bytes, ...]], Sequence[bytes]]
_Result = TypeVar("_Result")


def ticket(config: HolderConfig) -> Path:
    """The file that whoever asks a signer must be able to open: its store's lock."""
    return config.store / "lock"


def asked(
    config: HolderConfig, method: AdminMethod, result: type[_Result], *arguments: str
) -> _Result | None:
    """What the running signer answers; None if there is none.

    Raises:
        HsmMpcError: what the signer says went wrong.
        BackendError: this user may not ask, or the signer does not answer.
    """
    parts = [argument.encode() for argument in arguments]
    answer = admin.ask(config.admin_socket, ticket(config), method, parts)
    return None if answer is None else TypeAdapter(result).validate_json(answer)


def answering(result: type[_Result], work: Callable[..., _Result]) -> Method:
    """`work` as a method of the admin socket: arguments are text, the result is one document."""
    adapter = TypeAdapter(result)

    def method(parts: tuple[bytes, ...]) -> Sequence[bytes]:
        return (adapter.dump_json(work(*(part.decode() for part in parts))),)

    return method
