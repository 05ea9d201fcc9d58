"""Plans that an operator was asked to agree to, and his consents (step 1.6.7).

    plans/<SHA-256(PLAN) hex>/plan       PLAN
                              named      what it names: the policy file of a wallet to be made, else
                                         the body of the epoch that it is about, of a
                                         resharing with the roster in force
                              consent    once he has agreed
                              declined   empty, once he has declined

A plan goes when it is carried out, or too late.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from hsm_mpc.errors import HsmMpcError, Tampered
from hsm_mpc.store import files, names

_PLAN, _NAMED, _CONSENT, _DECLINED = "plan", "plan-named", "consent", "declined"

STEPS = (
    *files.steps_of_folder("plans-folder"),
    *files.steps_of_folder("plan-folder"),
    *names.steps_of_keep(_NAMED),
    *names.steps_of_keep(_PLAN),
    *names.steps_of_keep(_CONSENT),
    *names.steps_of_keep(_DECLINED),
    *files.steps_of_remove(_CONSENT),
    *files.steps_of_replace("consent-renewed"),
    *files.steps_of_remove_folder("plan-folder"),
)


class Plans:
    """The folder `plans` of a store. Every method raises `BackendError` and `Tampered`."""

    __slots__ = ("_folder",)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def offer(self, plan: bytes, named: bytes) -> None:
        """Keep PLAN until somebody decides on it. It is written last; what fails leaves nothing."""
        files.create_folder(self._folder, "plans-folder")
        digest = hashlib.sha256(plan).digest()
        folder = self._path(digest)
        try:
            files.create_folder(folder, "plan-folder")
            names.keep(folder / "named", named, _NAMED)
            names.keep(folder / "plan", plan, _PLAN)
        except HsmMpcError:
            with suppress(HsmMpcError):
                self.forget(digest)
            raise

    def digests(self) -> tuple[bytes, ...]:
        """Of all that are kept, whatever was decided on them."""
        if not files.present(self._folder):
            return ()
        return tuple(
            digest
            for digest in names.hashes_in(self._folder, 32)
            if files.present(self._path(digest) / "plan")
        )

    def plan(self, digest: bytes) -> bytes:
        """The PLAN of `digests` that has this one."""
        path = self._path(digest) / "plan"
        plan = files.read(path, names.DOCUMENT_CAP)
        if hashlib.sha256(plan).digest() != digest:
            raise Tampered(f"{path} is not the plan that its name says")
        return plan

    def named(self, digest: bytes) -> bytes:
        """What it names, as it came with it."""
        return files.read(self._path(digest) / "named", names.DOCUMENT_CAP)

    def consent(self, digest: bytes) -> bytes | None:
        """What `agree` was given, or None; of a plan that is declined there is none."""
        if self.is_declined(digest):
            return None
        return files.read_if_present(self._path(digest) / "consent", names.DOCUMENT_CAP)

    def agree(self, digest: bytes, consent: bytes) -> None:
        """Keep the consent to a plan that waits."""
        files.check_folder(self._path(digest))
        names.keep(self._path(digest) / "consent", consent, _CONSENT)

    def renew(self, digest: bytes, consent: bytes) -> None:
        """Put a consent into the place of the one before: another key has signed it."""
        files.replace(self._path(digest) / "consent", consent, "consent-renewed")

    def decline(self, digest: bytes) -> None:
        """Remember that he wants no part in a plan that is kept; a consent to it goes."""
        files.check_folder(self._path(digest))
        names.keep(self._path(digest) / "declined", b"", _DECLINED)
        if files.present(self._path(digest) / "consent"):
            files.remove(self._path(digest) / "consent", _CONSENT)

    def is_declined(self, digest: bytes) -> bool:
        """Whether `decline` was told so."""
        return files.present(self._path(digest) / "declined")

    def forget(self, digest: bytes) -> None:
        """Strike plan and consent; nothing happens where there is none."""
        if files.present(self._path(digest)):
            files.remove_folder(self._path(digest), "plan-folder")

    def clean(self) -> None:
        """Remove what a crash left before the plan was on disk."""
        if not files.present(self._folder):
            return
        for digest in set(names.hashes_in(self._folder, 32)) - set(self.digests()):
            files.remove_folder(self._path(digest), "plan-folder")

    def _path(self, digest: bytes) -> Path:
        return self._folder / digest.hex()
