"""A PKCS#11 module in this process: loaded once, initialised with locks, unloaded never.

PKCS#11 keeps its state by process and library, so does this: `Module.load` of the same file gives
the same object. python-pkcs11 is handed the module as we initialised it (`administration`): by
itself it would initialise it without locks, and threads would crash SoftHSM.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar, Final

from hsm_mpc.errors import BackendError, BadConfig
from hsm_mpc.hsm import cryptoki, failures, loading
from hsm_mpc.hsm.cryptoki import ULONG, ffi
from hsm_mpc.hsm.gate import Gate
from hsm_mpc.hsm.profiles import Profile, of_manufacturer
from hsm_mpc.hsm.provisioning import create_token
from hsm_mpc.hsm.token import Token, TokenInfo, padded_text, read_token_info
from hsm_mpc.secure.arena import Secret
from hsm_mpc.steps import step

_NONE: Final[Mapping[str, str]] = {}
_MOST_SLOTS: Final = 4096


class Module:
    """A loaded and initialised module. Made by `load` only."""

    _loaded: ClassVar[dict[str, Module]] = {}
    _loading: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: str, environment: Mapping[str, str], parameters: str = "") -> None:
        self.path: Final = path
        self.where: Final = f"pkcs11 module {path}"
        self.environment: Final = dict(environment)
        self.parameters: Final = parameters
        os.environ.update(environment)
        self.library: Final = loading.load(path)
        self.calls: Final = self.library.calls
        self.gate: Final = Gate()
        self.profile: Profile | None = None
        """That of all its tokens, by configuration; None: each token's manufacturer says it."""
        self.incarnation = 1
        """How often it was initialised: numbers of sessions and objects are good for one time."""
        self._process: Final = os.getpid()
        self._tokens: dict[tuple[str, bytes], Token] = {}
        self._initialise()

    @classmethod
    def load(
        cls, path: str, environment: Mapping[str, str] = _NONE, parameters: str = ""
    ) -> Module:
        """The module at an absolute path.

        Args:
            environment: variables that the module reads when it is initialised (SOFTHSM2_CONF);
                they are set for this process.
            parameters: text for its C_Initialize, for the few that want one (NSS).

        Raises:
            BadConfig: the path is not absolute, or the same module was loaded with other variables
                or parameters.
            BackendError: not loadable; or initialised by other code, or before a fork.
        """
        path = loading.real_path(path)
        with cls._loading:
            known = cls._loaded.get(path)
            if known is None:
                return cls._loaded.setdefault(path, cls(path, environment, parameters))
        known.refuse_after_fork()
        if known.environment != dict(environment):
            raise BadConfig(f"{known.where}: loaded in this process with other variables")
        if known.parameters != parameters:
            raise BadConfig(f"{known.where}: loaded in this process with other parameters")
        return known

    def _initialise(self) -> None:
        arguments = ffi.new("CK_C_INITIALIZE_ARGS *", {"flags": cryptoki.OS_LOCKING_OK})
        if self.parameters:
            text = ffi.new("char[]", self.parameters.encode("utf-8"))
            arguments.pReserved = ffi.cast("void *", text)
        with step("module.initialise"):
            code = self.calls.C_Initialize(arguments)
        if code == failures.CRYPTOKI_ALREADY_INITIALIZED:
            raise BackendError(
                f"{self.where}: other code of this process initialised it, perhaps without locks",
                retryable=False,
            )
        failures.check(code, "C_Initialize", self.where)

    def begin_anew(self) -> None:
        """Finalise and initialise: every session, login and handle of the process is gone.

        Raises:
            BackendError: the module does not start, or a call of it does not come back.
        """
        self.refuse_after_fork()
        with self.gate.alone():
            with step("module.finalise"):  # what is broken may refuse, and starts all the same
                self.calls.C_Finalize(ffi.NULL)
            self.incarnation += 1
            for token in self._tokens.values():
                token.forget()
            os.environ.update(self.environment)
            try:
                self._initialise()
            except BackendError as failure:
                raise BackendError(str(failure)) from failure  # the next time may be a better one

    def version(self) -> str:
        """What the module says of itself: its description and version, and that of PKCS#11.

        Raises:
            BackendError: it does not answer.
        """
        info = ffi.new("CK_INFO *")
        with self.gate.inside(), step("module.info"):
            failures.check(self.calls.C_GetInfo(info), "C_GetInfo", self.where)
        library, standard = info.libraryVersion, info.cryptokiVersion
        described = padded_text(bytes(info.libraryDescription))
        return (
            f"{described} {library.major}.{library.minor}, "
            f"PKCS#11 {standard.major}.{standard.minor}"
        )

    def profile_of(self, token: TokenInfo) -> Profile:
        """How a token of this module departs from the standard."""
        return self.profile or of_manufacturer(token.manufacturer)

    def refuse_after_fork(self) -> None:
        """A child has the parent's login and sessions but not its threads' locks.

        Raises:
            BackendError: this is not the process that loaded the module.
        """
        if os.getpid() != self._process:
            raise BackendError(
                f"{self.where}: not usable after a fork; start a new process instead",
                retryable=False,
            )

    def slots(self) -> tuple[TokenInfo, ...]:
        """What is in the slots: tokens, and tokens that were never initialised.

        An empty slot is passed over, a slot that does not answer is not: the token in it could be
        the one that is looked for, or its double.

        Raises:
            BackendError: the module or a slot does not answer.
        """
        self.refuse_after_fork()
        found = []
        with self.gate.inside():
            for slot in self._slot_numbers():
                with suppress(failures.TokenAbsent):
                    found.append(read_token_info(self.calls, slot, f"{self.where}, slot {slot}"))
        return tuple(found)

    def _slot_numbers(self) -> tuple[int, ...]:
        """Of the slots that hold a token, initialised or not."""
        count = ffi.new(ULONG)
        with step("module.slots"):
            # Asking for the count first makes SoftHSM offer a new empty token.
            code = self.calls.C_GetSlotList(1, ffi.NULL, count)
            failures.check(code, "C_GetSlotList", self.where)
            room = min(count[0], _MOST_SLOTS)
            numbers = ffi.new("CK_ULONG[]", room)
            count[0] = room
            code = self.calls.C_GetSlotList(1, numbers, count)
            failures.check(code, "C_GetSlotList", self.where)
        if count[0] > room:
            raise BackendError(f"{self.where}: C_GetSlotList gives more slots than there is room")
        return tuple(numbers[0 : count[0]])

    def tokens(self) -> tuple[TokenInfo, ...]:
        """All initialised tokens."""
        return tuple(found for found in self.slots() if found.initialised)

    def find(self, label: str, serial: str | None = None) -> TokenInfo:
        """The one token with this label, and this serial number if one is given.

        Raises:
            BackendError: there is none (it may come back).
            BadConfig: there are several.
        """
        found = [
            token
            for token in self.tokens()
            if token.label == label and serial in (None, token.serial_text)
        ]
        wanted = f"token {label!r}" + (f" with serial {serial}" if serial else "")
        if not found:
            raise BackendError(f"{self.where}: no {wanted}")
        if len(found) > 1:
            serials = ", ".join(token.serial_text for token in found)
            mend = "mend: name one as `serial` in the configuration"
            raise BadConfig(f"{self.where}: {len(found)} {wanted}, serials {serials}; {mend}")
        return found[0]

    def token(self, label: str, serial: str | None = None) -> Token:
        """The token of `find`: one object for each token, which keeps its login.

        Raises:
            BackendError, BadConfig: as `find`.
        """
        found = self.find(label, serial)
        with self._loading:
            return self._tokens.setdefault((found.label, found.serial), Token(self, found))

    def create_token(self, label: str, so_pin: Secret, user_pin: Secret) -> TokenInfo:
        """Initialise an empty token and set its PINs; see `provisioning.create_token`."""
        return create_token(self, label, so_pin, user_pin)
