"""What a list of wallets says to people."""

from __future__ import annotations

from hsm_mpc.app.wallet import ListedWallet, Wallets
from hsm_mpc.cli.wallet import _listed


def test_a_wallet_without_a_key_says_why() -> None:
    wallets = (
        ListedWallet("treasury", active=False, known=False),
        ListedWallet("savings", active=False),
        ListedWallet("old", active=False, destroyed=True, threshold=2, holders=("h1", "h2")),
    )
    said = [line.split(maxsplit=1) for line in _listed(Wallets(wallets)).splitlines()]
    assert said[0] == ["treasury", "not known: see wallet show treasury"]
    assert said[1] == ["savings", "not active yet"]
    assert said[2][1].endswith("destroyed")
