"""One event loop in a background thread, shared by all that listens in this process, behind plain function calls."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def background() -> asyncio.AbstractEventLoop:
    """The running loop; its daemon thread is started by the first call."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="audit origins", daemon=True).start()
        return _loop


def call(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in the loop and waits for its result. Must not be called in the loop's own thread."""
    return asyncio.run_coroutine_threadsafe(work, background()).result()


def _forget() -> None:
    """Threads do not survive a fork: the child starts its own loop when it needs one."""
    global _lock, _loop
    _lock, _loop = threading.Lock(), None


os.register_at_fork(after_in_child=_forget)
