"""Ready when it still runs after so many seconds."""

import time

from procsup.runtime.alarms import Alarm, Alarms
from procsup.runtime.probes.probe import Verdict


class Elapsing:
    def __init__(self, alarms: Alarms, seconds: float, verdict: Verdict) -> None:
        self._alarms = alarms
        self._seconds = seconds
        self._verdict = verdict
        self._alarm: Alarm | None = None

    def begin(self, pid: int) -> None:
        self._alarm = self._alarms.set(time.monotonic() + self._seconds, self._verdict.ready)

    def last_look(self) -> None:
        pass

    def stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    def close(self) -> None:
        self.stop()
