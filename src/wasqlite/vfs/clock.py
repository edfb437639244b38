"""Local time, which a sandbox has no notion of."""

from __future__ import annotations

import time
from struct import Struct

TM = Struct("<9i")
"""tm_sec, tm_min, tm_hour, tm_mday, tm_mon, tm_year, tm_wday, tm_yday, tm_isdst"""


def local_time(seconds: int) -> bytes:
    """The local time of a moment in seconds since 1970, packed as C's struct tm begins.

    Raises OverflowError, OSError or ValueError for what the host's calendar does not reach.
    """
    t = time.localtime(seconds)
    # C counts months from 0, years from 1900, weekdays from Sunday and the days of a year from 0.
    return TM.pack(
        t.tm_sec,
        t.tm_min,
        t.tm_hour,
        t.tm_mday,
        t.tm_mon - 1,
        t.tm_year - 1900,
        (t.tm_wday + 1) % 7,
        t.tm_yday - 1,
        t.tm_isdst,
    )
