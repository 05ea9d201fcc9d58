"""The kinds of tokens that a lab can stand on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hsm_mpc.errors import BadInput
from hsm_mpc.lab.kind import Kind
from hsm_mpc.lab.nss import NSS
from hsm_mpc.lab.opencryptoki import OPENCRYPTOKI
from hsm_mpc.lab.p11kit import P11KIT
from hsm_mpc.lab.softhsm import SOFTHSM

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind for kind in (SOFTHSM, NSS, P11KIT, OPENCRYPTOKI)
}
DEFAULT: Final = SOFTHSM.name


def checked_kind(name: str) -> Kind:
    """The kind of this name.

    Raises:
        BadInput: there is none.
    """
    if name not in KINDS:
        raise BadInput(f"no kind of token is called {name!r}: {', '.join(KINDS)}")
    return KINDS[name]
