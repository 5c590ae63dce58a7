"""How often and how fast a backend that dies is started again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Restarts:
    """Waits double with each death in a window, and end when there were too many.

    Attributes:
        limit: restarts within a window.
        window: seconds.
        base: first wait in seconds.
        cap: longest wait in seconds.
        clock: seconds, for tests.
    """

    limit: int = 5
    window: float = 600.0
    base: float = 1.0
    cap: float = 30.0
    clock: Callable[[], float] = time.monotonic
    _deaths: deque[float] = field(default_factory=deque, repr=False)

    def wait(self) -> float | None:
        """Seconds to wait after a death that has just happened; None when it was one too many."""
        now = self.clock()
        while self._deaths and now - self._deaths[0] > self.window:
            self._deaths.popleft()
        self._deaths.append(now)
        if len(self._deaths) > self.limit:
            return None
        return min(self.cap, self.base * 2.0 ** (len(self._deaths) - 1))
