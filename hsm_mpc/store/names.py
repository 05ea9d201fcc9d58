"""Folders whose entries are named by hashes, and files that are written once and never change."""

from __future__ import annotations

import re
from pathlib import Path

from hsm_mpc.errors import BadInput, NameTaken, Tampered
from hsm_mpc.steps import step
from hsm_mpc.store import files

DOCUMENT_CAP = 4 << 20  # bytes; the cap of certificates on the wire (step 1.7.3)


def hashes_in(folder: Path, length: int) -> tuple[bytes, ...]:
    """What the entries of `folder` name: `length` bytes each, ascending.

    Raises:
        Tampered: an entry that is not 2·`length` lower-case hex digits; `files.check_folder`.
        BackendError: the disk fails.
    """
    names = files.entries(folder)
    for name in names:
        if re.fullmatch(f"[0-9a-f]{{{2 * length}}}", name) is None:
            raise Tampered(f"{folder / name} does not belong into the store")
    return tuple(bytes.fromhex(name) for name in names)


def steps_of_keep(name: str) -> tuple[str, ...]:
    """The durable steps of `keep`."""
    return files.steps_of_new(name)


def keep(path: Path, content: bytes, name: str) -> None:
    """Write the file `path`; once it holds these bytes it is left as it is.

    Steps: `steps_of_keep(name)`.
    Raises:
        BadInput: more than `DOCUMENT_CAP` bytes, which nobody would read again.
        Tampered: it holds other bytes.
        BackendError: the disk fails.
    """
    if len(content) > DOCUMENT_CAP:
        raise BadInput(f"{path.name}: a document has at most {DOCUMENT_CAP} bytes")
    try:
        files.write_new(path, content, name)
    except NameTaken as error:
        if files.read(path, DOCUMENT_CAP) != content:
            raise Tampered(f"{path} holds other bytes than those to be kept there") from error
        with files.disk_errors(f"writing {path}"), step(f"{name}.sync"):
            files.sync_folder(path.parent)
