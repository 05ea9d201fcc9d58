"""What is explored: one row is one model, in full, and how many states it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.model import resharing
from tests.model.models import (
    AS_BUILT,
    FOUR_OF_FIVE,
    MENDED,
    THREE_OF_FIVE,
    THREE_OF_FOUR,
    THREE_OF_THREE,
    TWO_OF_FIVE,
    TWO_OF_FOUR,
    TWO_OF_THREE,
    Model,
    Row,
)

PARTS: Final[Mapping[str, tuple[Row, ...]]] = {
    "The rows of 6.9.1": (
        Row(Model(THREE_OF_THREE, (3,), words="order"), 117_708),
        Row(Model(TWO_OF_THREE, (3,), 1), 150_784),
        Row(Model(TWO_OF_THREE, (3,), 1, words="order"), 150_784),
        Row(Model(TWO_OF_THREE, (3,), 1, words="equal"), 30_384),
        Row(Model(TWO_OF_THREE, (3,), 1, words="order equal"), 30_384),
        Row(Model(TWO_OF_THREE, (2,), 0, 0, 1, words="order progress"), 376_924, 1_684),
        Row(Model(TWO_OF_FOUR, (2,), 1), 39_084),
        Row(Model(TWO_OF_FOUR, (2,), 1, words="order"), 39_084),
        Row(Model(THREE_OF_FOUR, (2,), 1, words="order"), 17_304),
        Row(Model(FOUR_OF_FIVE, (2,), 1, words="order"), 83_749),
        Row(Model(THREE_OF_FIVE, (1,), 0, 2, 1, 1), 152_124),
        Row(Model(TWO_OF_THREE, (2,), 0, 1, 1, 1, words="progress"), 708_604, 5_144),
        Row(Model(THREE_OF_THREE, (3,)), 117_708, long=True),
        Row(Model(TWO_OF_THREE, (3,), 1, 0, 1), 466_792, long=True),
        Row(Model(TWO_OF_THREE, (3,), 1, 0, 1, words="order"), 466_792, long=True),
        Row(
            Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="order progress"), 875_694, 5_174, long=True
        ),
        Row(
            Model(TWO_OF_THREE, (2,), 0, 1, 1, 1, words="order progress"),
            2_914_625,
            14_408,
            long=True,
        ),
        Row(Model(THREE_OF_FIVE, (1,), 0, 2, 1, 1, words="order"), 2_681_131, long=True),
        Row(Model(THREE_OF_FIVE, (2,), 1), 406_478, long=True),
        Row(Model(THREE_OF_FIVE, (2,), 1, words="order"), 1_649_346, long=True),
        Row(Model(THREE_OF_FIVE, (3,), 2), 6_365_976, long=True),
        Row(Model(THREE_OF_FIVE, (3,), 2, words="order"), 6_365_976, long=True),
        Row(Model(THREE_OF_FIVE, (3,), 2, words="equal"), 624_178, long=True),
        Row(Model(THREE_OF_FIVE, (3,), 2, words="order equal"), 624_178, long=True),
        Row(Model(TWO_OF_FIVE, (2,), 1), 425_785, long=True),
        Row(Model(TWO_OF_FIVE, (2,), 1, words="order"), 425_785, long=True),
        Row(Model(THREE_OF_FIVE, (2,), words="progress"), 2_803_560, 1_302, long=True),
        Row(Model(TWO_OF_THREE, (3,), words="progress"), 3_139_626, 22_016, long=True),
        Row(Model(THREE_OF_FIVE, (2,), 1, 1, 0, 1), 5_356_007, long=True),
        Row(Model(THREE_OF_FOUR, (2,), 0, 1, 0, 1, words="order"), 5_030_060, long=True),
        Row(Model(THREE_OF_FOUR, (2,), 0, 1, 1, 1), 4_461_484, long=True),
        Row(Model(TWO_OF_FOUR, (2,), 0, 1, 0, 1), 8_804_070, long=True),
        Row(Model(TWO_OF_THREE, (3,), words="order progress"), 16_134_788, 109_628, long=True),
        Row(Model(TWO_OF_THREE, (3,), 0, 0, 1), 11_753_502, long=True),
        Row(Model(THREE_OF_FIVE, (2,), 0, 1), 10_285_042, long=True),
        Row(Model(THREE_OF_FIVE, (2,), 0, 0, 1), 10_997_720, long=True),
        Row(Model(THREE_OF_FOUR, (2,), 0, 1, 1, 1, words="order"), 18_526_006, long=True),
        Row(Model(TWO_OF_THREE, (3,), 0, 1, 0, 1), 37_553_950, long=True),
        Row(Model(TWO_OF_FOUR, (2,), 0, 1, 0, 1, words="order"), 35_546_683, long=True),
        Row(Model(THREE_OF_FIVE, (2,), 0, 1, 0, 1), 46_718_846, long=True),
        Row(Model(THREE_OF_FIVE, (2,), words="order promise_disobeys"), 45_171_787, long=True),
        Row(
            Model(TWO_OF_THREE, (3,), 0, 0, 1, words="order promise_disobeys"),
            59_886_195,
            long=True,
        ),
    ),
    "Each write and each call a step": (
        Row(Model(TWO_OF_THREE, (1,), 0, 1, 1, 1, words="fine"), 32_535),
        Row(Model(TWO_OF_THREE, (2,), 1, words="order fine"), 22_000),
        Row(Model(TWO_OF_FOUR, (1,), words="fine progress"), 7_957, 1),
        Row(Model(TWO_OF_THREE, (2,), 1, 0, 1, words="order fine"), 65_442),
        Row(Model(TWO_OF_THREE, (1,), 0, 1, 1, 1, words="order fine"), 55_312),
        Row(Model(TWO_OF_THREE, (2,), words="fine progress"), 483_382, 1_506, long=True),
        Row(Model(THREE_OF_FIVE, (2,), 2, words="fine"), 595_404, long=True),
        Row(Model(TWO_OF_THREE, (2,), words="order fine progress"), 1_360_911, 3_101, long=True),
        Row(Model(TWO_OF_THREE, (2,), 0, 0, 1, words="fine"), 1_920_359, long=True),
    ),
    "Traitors that may deal truly, too": (
        Row(Model(TWO_OF_THREE, (2,), 1, 0, 1, words="order fair"), 21_276),
        Row(Model(TWO_OF_FOUR, (2,), 1, words="order fair"), 188_278),
        Row(Model(TWO_OF_THREE, (3,), 1, words="order fair"), 519_484, long=True),
        Row(Model(TWO_OF_THREE, (3,), 1, 0, 1, words="fair"), 1_629_644, long=True),
        Row(Model(THREE_OF_FIVE, (2,), 2, words="order fair"), 155_436, long=True),
        Row(Model(THREE_OF_FIVE, (2,), 1, words="fair"), 1_088_040, long=True),
    ),
    "Successions in a row": (
        Row(Model(TWO_OF_THREE, (1, 1), 0, 1, 0, 1, words="progress"), 23_417, 1_492),
        Row(Model(TWO_OF_THREE, (1, 1), words="order fine progress"), 154_075, 4_103),
        Row(Model(TWO_OF_THREE, (2, 1), words="progress"), 166_780, 26_093),
        Row(Model(TWO_OF_THREE, (1, 1, 1), words="order progress"), 1_028_488, 40_836),
        Row(Model(TWO_OF_THREE, (2, 2), 1), 276_124),
        Row(Model(TWO_OF_THREE, (1, 1), words=f"order progress {AS_BUILT}"), 22_926, 1_026),
        Row(Model(TWO_OF_THREE, (1, 1), words=f"order progress {MENDED}"), 25_362, 1_026),
        Row(Model(TWO_OF_THREE, (1, 1, 1), words="fine progress"), 110_358, 3_501),
        Row(Model(TWO_OF_FOUR, (1, 1), words=f"progress {AS_BUILT}"), 44_404, 2_116),
        Row(Model(TWO_OF_FOUR, (1, 1), words=f"progress {MENDED}"), 49_172, 2_116),
        Row(Model(TWO_OF_FOUR, (1, 1), 1, words=f"{MENDED} fair"), 25_856),
        Row(Model(THREE_OF_FIVE, (1, 1), 2, words="order"), 721),
        Row(
            Model(TWO_OF_THREE, (1, 1), 0, 1, 0, 1, words="order progress"),
            337_886,
            6_783,
            long=True,
        ),
        Row(Model(TWO_OF_THREE, (1, 1), 0, 1, 0, 1, words=f"order {AS_BUILT}"), 295_581, long=True),
        Row(Model(TWO_OF_THREE, (1, 1), 0, 1, 0, 1, words=f"order {MENDED}"), 327_197, long=True),
        Row(
            Model(TWO_OF_THREE, (1, 1), 0, 0, 1, words=f"order progress {AS_BUILT}"),
            176_474,
            5_042,
            long=True,
        ),
        Row(
            Model(TWO_OF_THREE, (1, 1), 0, 0, 1, words=f"order progress {MENDED}"),
            194_057,
            5_042,
            long=True,
        ),
        Row(
            Model(TWO_OF_THREE, (1, 1), 0, 1, 1, 1, words=f"order {AS_BUILT}"), 2_365_154, long=True
        ),
        Row(Model(TWO_OF_THREE, (1, 2), words="progress"), 155_286, 1_483, long=True),
        Row(
            Model(TWO_OF_THREE, (1, 2), words=f"order progress {MENDED}"),
            4_744_563,
            25_309,
            long=True,
        ),
        Row(
            Model(TWO_OF_THREE, (1, 1, 1), 0, 1, 0, 1, words="progress"), 255_636, 21_177, long=True
        ),
        Row(
            Model(TWO_OF_THREE, (1, 1, 1), words=f"order progress {MENDED}"),
            999_056,
            40_366,
            long=True,
        ),
    ),
    "Staged shares dropped (6.5.10)": (
        Row(Model(TWO_OF_THREE, (2,), words="order progress drops"), 161_719, 602),
        Row(Model(TWO_OF_THREE, (2,), 0, 0, 1, words="progress drops"), 107_317, 408),
        Row(Model(TWO_OF_FOUR, (2,), 1, words="drops"), 59_156),
        Row(Model(THREE_OF_FIVE, (2,), 2, words="drops"), 42_040),
        Row(
            Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="progress drops"), 315_015, 1_908, long=True
        ),
        Row(Model(TWO_OF_THREE, (3,), 1, 0, 1, words="drops"), 840_296, long=True),
        Row(Model(TWO_OF_THREE, (3,), words="progress drops"), 8_647_975, 34_783, long=True),
    ),
    "Traitors and losses, in the bounds": (
        Row(Model(TWO_OF_FIVE, (1,), 1, 1), 2_143),
        Row(Model(THREE_OF_FIVE, (1,), 1, 1, 0, 1, words="order bounded"), 10_075),
        Row(Model(THREE_OF_FIVE, (2,), 1, 1, words="order bounded"), 4_068_630, long=True),
    ),
    "Resharing (6.8)": resharing.ROWS,
    "Weaker rules that broke nothing by themselves": (
        Row(Model(TWO_OF_THREE, (3,), 1, words="equal split_goes_on"), 30_384),
        Row(Model(TWO_OF_THREE, (2,), words="order ack_below_promise"), 109_628),
        Row(Model(TWO_OF_THREE, (2,), words="order uncertified"), 154_943),
        Row(Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="order two_orders"), 1_119_896, long=True),
        Row(Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="order forgets"), 1_390_771, long=True),
        Row(Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="forgets"), 445_753),
        Row(Model(THREE_OF_FIVE, (1,), 1, 1, 0, 1, words="forgets"), 5_321),
        Row(Model(TWO_OF_FOUR, (2,), 0, 1, 0, 1, words="forgets"), 18_307_061, long=True),
        Row(
            Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="order adopter_helps"), 1_289_034, long=True
        ),
        Row(Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="forgets adopter_helps"), 527_175),
        Row(
            Model(TWO_OF_THREE, (2,), 0, 1, 1, 1, words="forgets adopter_helps"),
            1_673_223,
            long=True,
        ),
        Row(Model(THREE_OF_FIVE, (1,), 1, 1, 0, 1, words="forgets adopter_helps"), 5_481),
        Row(
            Model(TWO_OF_FOUR, (2,), 0, 1, 0, 1, words="forgets adopter_helps"),
            21_888_402,
            long=True,
        ),
        *resharing.WEAKER,
    ),
}
"""Each word is explained in docs/protocols/model.md."""
