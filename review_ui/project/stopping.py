"""The first SIGINT or SIGTERM ends the work in order; what ends is not disturbed by the next."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from feedback.terminal import note

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Inside the `with` block a signal raises KeyboardInterrupt, or, after `softly()`, only sets `asked`.

    A long wait must be broken off, so starting up is interrupted at once; but a process must not be interrupted between
    starting a child and remembering it, so supervision looks at the flag instead. The block ends without an error.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._soft = False

    def softly(self) -> None:
        """From here on a signal only sets `asked`."""
        self._soft = True

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._stop) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        return kind is KeyboardInterrupt and self.asked.is_set()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.asked.is_set():
            return
        self.asked.set()
        note("stopping ...")
        if not self._soft:
            raise KeyboardInterrupt
