"""The one error tree. Every failure says whose fault it is and whether one may try again.

Branch on the type, never on the text. A text is lower case, names the object and the rule that it
broke, and never holds a secret or the bytes of a blob. `kind` and `exit_code` are what the command
line shows (docs/cli.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class HsmMpcError(Exception):
    """Base of all errors of this package."""

    kind = "internal"
    exit_code = 1
    retryable = False

    def facts(self) -> Mapping[str, object]:
        """What a script may want to know besides kind and message; only the fields that apply."""
        return {}


class BadInput(HsmMpcError, ValueError):
    """The caller's fault: an argument, a file or a configuration that cannot be used as it is."""

    kind = "bad-input"
    exit_code = 2


class BadEncoding(BadInput):
    """Bytes that do not parse."""

    kind = "bad-encoding"


class NameTaken(BadInput):
    """A name that is in use."""

    kind = "name-taken"


class BadConfig(BadInput):
    """A configuration that is refused: unknown keys, wrong modes, a token or key found twice."""

    kind = "bad-config"


class MemoryUnlockable(BadInput):
    """This host does not let us lock enough memory; nothing is done with unlocked memory."""

    kind = "memory-unlockable"


class Refused(HsmMpcError):
    """A rule of policy or state says no; `rule` names it."""

    kind = "refused"
    exit_code = 3

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule

    def facts(self) -> Mapping[str, object]:
        return {"rule": self.rule}


class Declined(HsmMpcError):
    """All holders that could make a quorum declined; `rule` is there where all named the same."""

    kind = "declined"
    exit_code = 3

    def __init__(self, message: str, rule: str = "") -> None:
        super().__init__(message)
        self.rule = rule

    def facts(self) -> Mapping[str, object]:
        return {"rule": self.rule} if self.rule else {}


class BackendError(HsmMpcError):
    """HSM, KMS, peer, network or disk is unavailable."""

    kind = "unavailable"
    exit_code = 4

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class QuorumUnreachable(BackendError):
    """Fewer holders answer than are needed; `waiting_for` names those that do not."""

    def __init__(self, message: str, waiting_for: Iterable[str]) -> None:
        super().__init__(message)
        self.waiting_for = tuple(waiting_for)

    def facts(self) -> Mapping[str, object]:
        return {"waiting_for": list(self.waiting_for)}


class PinRefused(BackendError):
    """A PIN that is wrong, locked or lost. It is never tried twice."""

    kind = "pin"

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)


class ProtocolAbort(HsmMpcError):
    """A protocol was aborted; `culprits` are the indices of the holders whose fault is proven to
    whoever raises it. To all others that is a word, as long as they have not judged themselves.
    """

    kind = "aborted"
    exit_code = 5

    def __init__(self, message: str, culprits: Iterable[int] = ()) -> None:
        super().__init__(message)
        self.culprits = tuple(sorted(set(culprits)))

    def facts(self) -> Mapping[str, object]:
        return {"culprits": list(self.culprits)} if self.culprits else {}


class HoldersBlamed(ProtocolAbort):
    """An abort that counts nobody: `names` are the holders whom it blames."""

    def __init__(self, message: str, names: Iterable[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)

    def facts(self) -> Mapping[str, object]:
        return {"culprits": list(self.names)} if self.names else {}


class Tampered(HsmMpcError):
    """Store, HSM, record or certificate disagree: damage, or somebody's work."""

    kind = "tampered"
    exit_code = 6


class NotReady(HsmMpcError):
    """Something that is waited for is still missing; `waiting_for` names it."""

    kind = "not-ready"
    exit_code = 7

    def __init__(self, message: str, waiting_for: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.waiting_for = tuple(waiting_for)

    def facts(self) -> Mapping[str, object]:
        return {"waiting_for": list(self.waiting_for)} if self.waiting_for else {}


class InvalidSignature(HsmMpcError):
    """A signature that was shown does not verify."""

    kind = "invalid-signature"
    exit_code = 8


def reason_of(failure: Exception) -> str:
    """For a line in a log: what is none of ours says its kind, too; it begins no other line."""
    is_ours = isinstance(failure, HsmMpcError)
    return printable(str(failure) if is_ours else f"{type(failure).__name__}: {failure}")


def printable(text: str, keep: str = "") -> str:
    """What steers a terminal is shown as an escape, but for what is in `keep`: strangers, among
    them holders, may say it.
    """
    return "".join(
        each if each.isprintable() or each in keep else ascii(each)[1:-1] for each in text
    )
