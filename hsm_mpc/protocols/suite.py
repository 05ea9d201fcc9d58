"""What differs between the suites of COCKTAIL-DKG (section 2.1).

An `int` is the address of secret bytes in an open window unless it is a length.
"""

from __future__ import annotations

from typing import Final, Protocol

from hsm_mpc.groups.proofs import PublicSuite

AEAD_KEY_BYTES: Final = 32
AEAD_NONCE_BYTES: Final = 24
AEAD_TAG_BYTES: Final = 16


class Suite(PublicSuite, Protocol):
    """One column of the suite table, with the half that touches secrets."""

    @property
    def nonce_prefix(self) -> bytes:
        """What stands before sk ‖ m in the hash input of a nonce (step 2.2.1)."""

    @property
    def pad_prefix(self) -> bytes:
        """What stands before x ‖ E ‖ P_s ‖ P_r in the hash input of a pad (step 2.3.5)."""

    @property
    def pad_room(self) -> int:
        """Bytes behind that hash input which `pad` may overwrite."""

    def nonce_scalar(self, message: int, length: int, out: int) -> None:
        """The deterministic nonce of nonce_prefix ‖ sk ‖ m, which it may overwrite (step 2.2.1).

        Raises:
            ProtocolAbort: it is 0, or (secp256k1) not below the order.
        """

    def pad(self, message: int, length: int, key: int) -> bytes:
        """⟦K⟧ into 32 bytes at `key`; the nonce N, 24 bytes, public (step 2.3.5)."""

    def seal(self, key: int, nonce: bytes, plaintext: int, length: int, scratch: int) -> bytes:
        """ciphertext ‖ tag[16], AAD empty. 32 bytes at `scratch` are the caller's to wipe."""

    def open(self, key: int, nonce: bytes, sealed: bytes, out: int, scratch: int) -> bool:
        """The plaintext at `out`. False: not authentic; what stands there is to be wiped."""
