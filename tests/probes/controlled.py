"""An origin with its control interface, in this process."""

from __future__ import annotations

from probes import loop, show
from probes.control import Control
from probes.log import Log, Received
from probes.origin import Origin


class Controlled:
    """`origin` takes requests; `url` is where it is controlled."""

    def __init__(self, kind: type[Origin], name: str) -> None:
        self._log = Log()
        self.origin = kind(name, self._log)
        self.origin.answer = show.answer
        self._control = Control(self._log, [self.origin], show.answer)
        self.url = "http://" + loop.call(self._control.start("127.0.0.1", 0))

    @property
    def received(self) -> list[Received]:
        """What has arrived so far."""
        return self._log.since(0)[0]

    @property
    def told(self) -> bool:
        """Whether somebody has said what to answer, and not taken it back."""
        return self.origin.answer is not show.answer

    def close(self) -> None:
        loop.call(self._control.stop())
        self.origin.close()
