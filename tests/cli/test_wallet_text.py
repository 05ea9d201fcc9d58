"""What a list of wallets, and a holder that was sent away, say to people."""

from __future__ import annotations

from dataclasses import replace

from hsm_mpc.app.wallet import ListedWallet, Retired, Wallets
from hsm_mpc.cli.wallet import _left, _listed

SHARED_ANEW = Retired(
    7,
    "waiting",
    waiting_for=("h2", "h3"),
    lost=(),
    destroyed=("h1",),
    left=("h3",),
    dangerous_until=2,
)


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


def test_who_was_sent_away_is_told_of_while_its_old_share_still_counts() -> None:
    (line,) = _left(SHARED_ANEW)
    assert line.startswith("h3: no holder any more; with enough others, old shares still sign")
    assert line.endswith("until 2 holders of epoch 7 have destroyed theirs; so far 1")
    enough = replace(SHARED_ANEW, waiting_for=("h3",), destroyed=("h1", "h2"))
    assert _left(enough) == ["h3: no holder any more; too few old shares are left to sign"]
    assert _left(replace(enough, state="done", waiting_for=())) == []
    assert _left(replace(SHARED_ANEW, left=())) == []
