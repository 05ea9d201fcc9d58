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
        counting = {
            "C_OpenSession": self._opened,
            "C_CloseSession": self._closed,
            "C_Finalize": self._finalised,
        }
        for name, counted in counting.items():
            real = getattr(module.calls, name)
            setattr(module.calls, name, lambda *given, real=real, then=counted: then(real, *given))

    def left_by(self, token: Token) -> dict[str, int | None]:
        """After the idle ones were closed: those of our calls, and as the module counts itself."""
        token.pool.close_all()
        told = ffi.new("CK_TOKEN_INFO *")
        failures.check(self._calls.C_GetTokenInfo(token.slot, told), "C_GetTokenInfo", token.where)
        count = told.ulSessionCount
        return {"ours": len(self._handles), "its": None if count == UNAVAILABLE else count}

    def _opened(self, real: Any, *given: Any) -> int:
        code = int(real(*given))
        if code == failures.OK:
            self._handles.add(int(given[-1][0]))
        return code

    def _closed(self, real: Any, handle: int) -> int:
        code = int(real(handle))
        if code == failures.OK or failures.is_session_gone(code):
            self._handles.discard(int(handle))
        return code

    def _finalised(self, real: Any, reserved: Any) -> int:
        self._handles.clear()
        return int(real(reserved))
