"""Output keys and addresses (BIP 341, step 5.1.6), and the tweaks of one session (section 5.2)."""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.errors import BadInput
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.tags import Tag, tagged_hash
from hsm_mpc.taproot.derivation import ExtendedKey, Path, Tweak, derived
from hsm_mpc.taproot.encodings import Network, taproot_address

_NO_SCRIPTS = b""


def tap_tweaked(internal_key: bytes, script_root: bytes = _NO_SCRIPTS) -> tuple[bytes, Tweak]:
    """The output key of an x-only internal key: 33 bytes compressed, and the tweak to it.

    `script_root` is empty or the 32 bytes of a script tree's root.

    Raises:
        BadInput: the key is no x of a point, the root has another length, or there is no output
            key for them (which no one will see).
    """
    if len(script_root) not in (0, 32):
        raise BadInput("a script root is empty or 32 bytes")
    even = SECP256K1.parse_point(b"\x02" + internal_key)
    tweak = tagged_hash(Tag.TAP_TWEAK, internal_key + script_root)
    tau = int.from_bytes(tweak, "big")
    if tau >= SECP256K1.order:
        raise BadInput("this internal key has no output key")
    output_key = SECP256K1.multiply_with_base(even, 1, tau)
    if output_key is None:
        raise BadInput("this internal key has no output key")
    return output_key, Tweak(tweak, x_only=True)


@dataclass(frozen=True, slots=True)
class SpendingKey:
    """The key of one address: the only way from a wallet's key to an address (step 5.1.1).

    internal_key and output_key are x-only, 32 bytes. `tweaks` lead from the threshold key to the
    output key, in the order in which a session applies them; every signer derives them itself.
    """

    path: Path
    internal_key: bytes
    output_key: bytes
    tweaks: tuple[Tweak, Tweak, Tweak]

    @classmethod
    def derive(cls, root: ExtendedKey, path: Path, script_root: bytes = _NO_SCRIPTS) -> SpendingKey:
        """The spending key at `path` below the threshold key `root` (section 5.2).

        Raises:
            BadInput: nothing is there (5.1.4), or a script root of another length.
        """
        branch = derived(root.key, root.chain_code, path.change)
        leaf = derived(branch.key, branch.chain_code, path.index)
        internal_key = leaf.key[1:]
        output_key, output_tweak = tap_tweaked(internal_key, script_root)
        return cls(path, internal_key, output_key[1:], (branch.tweak, leaf.tweak, output_tweak))

    @property
    def script_pubkey(self) -> bytes:
        """What an output pays to: version 1 and the output key, 34 bytes."""
        return b"\x51\x20" + self.output_key

    def address(self, network: Network) -> str:
        """The bech32m address."""
        return taproot_address(self.output_key, network)
