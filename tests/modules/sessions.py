"""Which sessions a token has open, counted where the product calls the module."""

from __future__ import annotations

from typing import Any, Final

from hsm_mpc.hsm import failures
from hsm_mpc.hsm.cryptoki import UNAVAILABLE, ffi
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token


class OpenSessions:
    """Those that our own calls opened since the module was initialised last, and did not close.

    To be made before the first session is opened.
    """

    def __init__(self, module: Module) -> None:
        self._handles: Final[set[int]] = set()
        self._calls: Final = module.calls
        for name in ("C_OpenSession", "C_CloseSession", "C_Finalize"):
            real, counted = getattr(module.calls, name), getattr(self, f"_{name}")
            setattr(module.calls, name, lambda *given, real=real, then=counted: then(real, *given))

    def left_by(self, token: Token) -> dict[str, int | None]:
        """After the idle ones were closed: those of our calls, and as the module counts itself."""
        token.pool.close_all()
        told = ffi.new("CK_TOKEN_INFO *")
        failures.check(self._calls.C_GetTokenInfo(token.slot, told), "C_GetTokenInfo", token.where)
        count = told.ulSessionCount
        return {"ours": len(self._handles), "its": None if count == UNAVAILABLE else count}

    def _C_OpenSession(self, real: Any, *given: Any) -> int:  # noqa: N802 - the module's name
        code = int(real(*given))
        if code == failures.OK:
            self._handles.add(int(given[-1][0]))
        return code

    def _C_CloseSession(self, real: Any, handle: int) -> int:  # noqa: N802
        code = int(real(handle))
        if code == failures.OK or failures.is_session_gone(code):
            self._handles.discard(int(handle))
        return code

    def _C_Finalize(self, real: Any, reserved: Any) -> int:  # noqa: N802
        self._handles.clear()
        return int(real(reserved))
