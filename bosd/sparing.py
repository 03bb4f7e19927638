"""So many a minute and no more, of what others could cause without end: log lines, programs."""

from collections import deque

MINUTE_S = 60.0


class Sparing:
    """Lets `most_a_minute` through; `held_back` are those since the last one that it let through."""

    def __init__(self, most_a_minute: int) -> None:
        self.held_back = 0
        self._most = most_a_minute
        self._passed_s: deque[float] = deque(maxlen=most_a_minute)

    def passes(self, now_s: float) -> bool:
        """Return whether one more may pass at a monotonic `now_s`; who may has `held_back` to tell of, and to `forget`."""
        if len(self._passed_s) == self._most and now_s - self._passed_s[0] < MINUTE_S:
            self.held_back += 1
            return False
        self._passed_s.append(now_s)
        return True

    def forget(self) -> int:
        """Return how many were held back, and count anew."""
        held_back, self.held_back = self.held_back, 0
        return held_back
