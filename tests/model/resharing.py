"""What is explored of resharings (6.8), and what falls if one of their rules is weaker."""

from __future__ import annotations

from typing import Final

from tests.model.models import (
    THREE_OF_FIVE,
    THREE_OF_THREE,
    TWO_OF_FOUR,
    TWO_OF_THREE,
    CounterExample,
    Model,
    NewHolders,
    Quorum,
    Row,
)

TWO_OF_TWO: Final = Quorum(2, 2, 2, 2)
ALL_JOIN: Final = Quorum(2, 3, 3, 2)
"""2-of-3 whose epochs are retired without a holder that has joined."""
OTHERS: Final = NewHolders(2, 3, 0)
ONE_STAYS: Final = NewHolders(2, 3, 1)
ONE_LEAVES: Final = NewHolders(2, 3, 2)
SAME: Final = NewHolders(2, 3, 3)
ONE_LIES: Final = NewHolders(2, 3, 1, 1)
NEWCOMER_LIES: Final = NewHolders(2, 3, 2, 1)
PAIR: Final = NewHolders(2, 2, 1)
ONE_MORE: Final = NewHolders(3, 4, 3)

_SECOND: Final = "refresh2 progress"

ROWS: Final = (
    Row(Model(TWO_OF_THREE, (2,), words="progress", anew=ONE_STAYS), 293_631, 919),
    Row(Model(TWO_OF_THREE, (2,), words="refresh1 progress", anew=ONE_STAYS), 120_544, 370),
    Row(Model(TWO_OF_THREE, (2,), words=_SECOND, anew=ONE_STAYS), 151_576, 919),
    Row(Model(TWO_OF_THREE, (2,), words=_SECOND, anew=OTHERS), 55_815, 463),
    Row(Model(TWO_OF_THREE, (2,), words=_SECOND, anew=ONE_MORE), 87_549, 363),
    Row(Model(TWO_OF_THREE, (2,), words=_SECOND, anew=NewHolders(2, 2, 2)), 73_205, 362),
    Row(Model(THREE_OF_THREE, (2,), words=_SECOND, anew=ONE_STAYS), 8_418, 171),
    Row(Model(TWO_OF_TWO, (3,), words="progress", anew=ONE_LEAVES), 85_683, 2_039),
    Row(Model(TWO_OF_FOUR, (1,), words="progress", anew=ONE_LEAVES), 7_035, 1),
    Row(Model(TWO_OF_THREE, (2,), 1, words="order", anew=ONE_STAYS), 50_607),
    Row(Model(TWO_OF_THREE, (2,), 1, words="order equal", anew=ONE_LIES), 2_057),
    Row(Model(TWO_OF_THREE, (2,), words="order progress", anew=ONE_LIES), 651_340, 2_509),
    Row(Model(TWO_OF_THREE, (2,), 1, words=f"silent {_SECOND}", anew=ONE_LIES), 6_224, 67),
    Row(Model(TWO_OF_THREE, (3,), 1, words="order", anew=NEWCOMER_LIES), 535_637),
    Row(
        Model(TWO_OF_THREE, (2,), 0, 1, words=f"forgetful {_SECOND}", anew=ONE_STAYS),
        685_082,
        2_136,
        long=True,
    ),
    Row(
        Model(TWO_OF_THREE, (1,), 0, 1, 1, 1, words="order bounded forgets", anew=ONE_LEAVES),
        62_840,
    ),
    Row(Model(TWO_OF_THREE, (2,), words="drops discards progress", anew=ONE_STAYS), 629_284, 1_059),
    Row(
        Model(TWO_OF_THREE, (2,), words=f"order drops discards {_SECOND}", anew=ONE_LEAVES),
        1_898_037,
        2_671,
        long=True,
    ),
    Row(
        Model(TWO_OF_THREE, (3,), 1, words="order refresh2", anew=ONE_LEAVES), 1_189_665, long=True
    ),
    Row(
        Model(TWO_OF_THREE, (3,), 1, words="order refresh1 refresh3", anew=ONE_LIES),
        588_526,
        long=True,
    ),
    Row(Model(TWO_OF_THREE, (3,), 1, anew=ONE_STAYS), 6_663_509, long=True),
    Row(
        Model(TWO_OF_THREE, (3,), words=_SECOND, anew=NEWCOMER_LIES), 10_938_786, 73_205, long=True
    ),
    Row(Model(TWO_OF_FOUR, (2,), words=_SECOND, anew=ONE_LEAVES), 5_752_207, 7_035, long=True),
    Row(Model(TWO_OF_FOUR, (2,), 1, words="order", anew=ONE_STAYS), 1_339_302, long=True),
    Row(
        Model(THREE_OF_FIVE, (2,), 2, words="progress", anew=ONE_LEAVES),
        1_199_679,
        1_686,
        long=True,
    ),
    Row(
        Model(THREE_OF_FIVE, (2,), 1, words="order refresh2", anew=ONE_LEAVES),
        25_815_524,
        long=True,
    ),
    Row(
        Model(TWO_OF_THREE, (2,), 0, 1, words=f"order {_SECOND}", anew=ONE_STAYS),
        3_817_646,
        8_744,
        long=True,
    ),
    Row(
        Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="forgets progress", anew=SAME),
        963_558,
        2_895,
        long=True,
    ),
    Row(
        Model(TWO_OF_THREE, (2,), 0, 1, 1, 1, words="forgets refresh2", anew=ONE_LEAVES),
        11_779_926,
        long=True,
    ),
    Row(
        Model(
            TWO_OF_THREE, (2,), 0, 1, 1, 1, words="order bounded forgets refresh2", anew=ONE_LEAVES
        ),
        37_099_433,
        long=True,
    ),
)

WEAKER: Final = (
    Row(
        Model(TWO_OF_THREE, (2,), 1, words="drops discards unarrived_retires", anew=ONE_STAYS),
        123_872,
    ),
)
"""Rules that broke nothing by themselves."""

COUNTER_EXAMPLES: Final = (
    CounterExample(
        "unarrived_votes, one is silent",
        Model(TWO_OF_THREE, (2,), words=f"silent {_SECOND} unarrived_votes", anew=ONE_LIES),
        "progress",
        64_762,
        9,
        Row(Model(TWO_OF_THREE, (2,), words=f"silent {_SECOND}", anew=ONE_LIES), 53_498, 101),
    ),
    CounterExample(
        "unarrived_votes, one is lost",
        Model(TWO_OF_THREE, (2,), 0, 1, words=f"{_SECOND} unarrived_votes", anew=OTHERS),
        "progress",
        275_388,
        11,
        Row(Model(TWO_OF_THREE, (2,), 0, 1, words=_SECOND, anew=OTHERS), 260_192, 1_152),
    ),
    CounterExample(
        "unkept_arrivals",
        Model(
            TWO_OF_THREE, (2,), 0, 1, words=f"forgetful {_SECOND} unkept_arrivals", anew=ONE_LEAVES
        ),
        "progress",
        619_822,
        14,
        Row(
            Model(TWO_OF_THREE, (2,), 0, 1, words=f"forgetful {_SECOND}", anew=ONE_LEAVES),
            619_822,
            1_398,
        ),
    ),
    CounterExample(
        "CERT is enough",
        Model(
            TWO_OF_THREE,
            (1,),
            words="discards unarrived_votes unarrived_retires",
            anew=ONE_STAYS,
        ),
        "I2",
        731,
        13,
        Row(Model(TWO_OF_THREE, (1,), words="discards", anew=ONE_STAYS), 1_059),
        what="6.8.4: neither a vote nor RETIRE waits for DONE', and a share is discarded",
    ),
    CounterExample(
        "arrivals_vote",
        Model(TWO_OF_THREE, (2,), words="arrivals_vote", anew=ONE_LIES),
        "I1",
        169_158,
        18,
        Row(Model(TWO_OF_THREE, (2,), anew=ONE_LIES), 134_328),
    ),
    CounterExample(
        "W = t, resharing",
        Model(Quorum(2, 3, 2, 2), (2,), 1, anew=ONE_LIES),
        "I1",
        38_814,
        16,
        Row(Model(TWO_OF_THREE, (2,), 1, anew=ONE_LIES), 22_724),
        what="6.8.4: e is retired after t votes of old holders, of which the traitor's is one",
    ),
    CounterExample(
        "arrived_signs",
        Model(TWO_OF_THREE, (2,), 1, words="arrived_signs", anew=NewHolders(2, 3, 0, 1)),
        "I5",
        11_280,
        19,
        Row(Model(TWO_OF_THREE, (2,), 1, anew=NewHolders(2, 3, 0, 1)), 14_019),
    ),
    CounterExample(
        "two_protocols, a refresh follows",
        Model(TWO_OF_THREE, (2,), words="refresh2 two_protocols", anew=NEWCOMER_LIES),
        "I1",
        66_581,
        24,
        Row(Model(TWO_OF_THREE, (2,), words="refresh2", anew=NEWCOMER_LIES), 73_205),
    ),
    CounterExample(
        "two_protocols, a resharing follows",
        Model(TWO_OF_THREE, (2,), words="refresh1 two_protocols", anew=NEWCOMER_LIES),
        "I1",
        66_399,
        24,
        Row(Model(TWO_OF_THREE, (2,), words="refresh1", anew=NEWCOMER_LIES), 61_980),
    ),
    CounterExample(
        "confirmed_goes, by a JOIN",
        Model(ALL_JOIN, (3,), 1, words="drops confirmed_goes", anew=PAIR),
        "I2",
        29_028,
        17,
        Row(Model(ALL_JOIN, (3,), 1, words="drops", anew=PAIR), 208_609),
    ),
    CounterExample(
        "confirmed_goes, by its operator",
        Model(TWO_OF_THREE, (1,), words="discards confirmed_goes", anew=OTHERS),
        "I2",
        250,
        16,
        Row(Model(TWO_OF_THREE, (1,), words="discards", anew=OTHERS), 532),
    ),
    CounterExample(
        "as built: an old disk before the vote",
        Model(TWO_OF_THREE, (2,), 0, 1, 1, 1, words=f"forgets {_SECOND}", anew=SAME),
        "progress",
        4_217_773,
        14,
        Row(
            Model(
                TWO_OF_THREE, (2,), 0, 1, 1, 1, words=f"order bounded forgets {_SECOND}", anew=SAME
            ),
            11_534_669,
            15_409,
            long=True,
        ),
        what="6.8.4: who stays does not vote without its share of h', and is not dealt to again",
        long=True,
    ),
    CounterExample(
        "more are lost than n' − t'",
        Model(TWO_OF_THREE, (1,), 0, 1, anew=PAIR),
        "I2",
        620,
        13,
        Row(Model(TWO_OF_THREE, (1,), 0, 1, anew=ONE_STAYS), 4_154),
        what="6.1.3: from its DONE' on, before e goes, a new holder counts among those of h'",
    ),
)
