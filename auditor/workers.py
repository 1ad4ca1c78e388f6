"""Work spread over processes of our own: forks, each with two pipes; no socket, no other program."""

from __future__ import annotations

import gc
import os
import pickle
import selectors
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from auditor.check import WorkerDied

SMALL = 10_000  # the size below which an item is done first, in this process
# The sum of the sizes that one process gets: then it ends, and a fresh one takes its place. To take apart what was made
# for an item costs a third of the time that it took to make it; a process that ends need not.
LOT = 80_000
AHEAD = 2  # items that a process has been handed: the one at work, and one so that it need not wait
_LENGTH = 8  # bytes before each message, its length
_NUMBER = 4  # bytes of the number of an item


class Item(Protocol):
    """What is worked on: its name, and its size in any unit."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...


Thing = TypeVar("Thing", bound=Item)
Result = TypeVar("Result")


class _Elsewhere(Exception):
    """The traceback of another process, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class _Worker:
    """Another process, seen from here. `tasks` is where numbers of items are written, `results` where messages are
    read, `handed` the items without an answer so far, in their order."""

    def __init__(self, process: int, tasks: int, results: int) -> None:
        self.process = process
        self.tasks = tasks
        self.results = results
        self.handed: list[int] = []
        self.size = 0  # of all that was handed out so far
        self.buffer = bytearray()
        self._status: int | None = None

    def wait(self) -> int:
        """Waits for its end; its exit status, negative for a signal."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        return self._status

    def kill(self) -> None:
        if self._status is None:
            os.kill(self.process, signal.SIGKILL)


def spread(work: Callable[[Thing], Result], items: Sequence[Thing], jobs: int) -> list[Result]:
    """What `work` gives for each item, in their order, as if it were called here for one after the other.

    A small item is done in this process first: what all need is then imported here, once. The rest goes to `jobs`
    others, the largest first, so that they end together. Results are pickled on their way; what `work` raises is raised
    here, with the item's name in a note.

    Raises WorkerDied where a process ends before its work does.
    """
    order = sorted(range(len(items)), key=lambda number: -items[number].size)
    results: dict[int, Result] = {}
    if items[order[-1]].size < SMALL:
        results[order[-1]] = work(items[order[-1]])
        del order[-1]
    if jobs < 2 or len(order) < 2:
        results.update((number, work(items[number])) for number in order)
        return [results[number] for number in range(len(items))]
    gc.collect()
    gc.freeze()  # what is here stays, and is shared: a look for garbage would touch, and so copy, all of it
    workers: list[_Worker] = []
    done = False
    try:
        while len(workers) < min(jobs, len(order)) and _start(work, items, workers):
            pass
        if workers:
            _collect(work, workers, items, order, results)
        else:  # the system lets this user start no more processes
            results.update((number, work(items[number])) for number in order)
        done = True
    finally:
        hidden = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until all have ended
        _end(workers, done)
        gc.unfreeze()
        signal.pthread_sigmask(signal.SIG_SETMASK, hidden)
    return [results[number] for number in range(len(items))]


def _collect(
    work: Callable[[Thing], Any],
    workers: list[_Worker],
    items: Sequence[Thing],
    order: Sequence[int],
    results: dict[int, Any],
) -> None:
    """Hands the items out in that order, and puts what comes back into `results`."""
    todo = deque(order)
    left = len(order)
    with selectors.DefaultSelector() as selector:

        def employ(worker: _Worker) -> None:
            selector.register(worker.results, selectors.EVENT_READ, worker)
            for _ in range(AHEAD):
                _hand(worker, todo, items)

        for worker in workers:
            employ(worker)
        while left:
            for key, _ in selector.select():
                worker = key.data
                data = os.read(worker.results, 1 << 20)
                if not data:
                    raise _died(worker, items)
                worker.buffer.extend(data)
                for message in _messages(worker.buffer):
                    number = worker.handed.pop(0)
                    _hand(worker, todo, items)
                    results[number] = _result(message, items[number])
                    left -= 1
                if todo and not worker.handed:
                    selector.unregister(worker.results)
                    if _start(work, items, workers):
                        workers.remove(worker)
                        _end([worker], True)
                        worker = workers[-1]
                    worker.size = 0
                    employ(worker)


def _end(workers: Sequence[_Worker], done: bool) -> None:
    """Ends all of them and waits; those that are not done are killed: they have nothing to put in order."""
    for worker in workers:
        if not done:
            worker.kill()
        os.close(worker.tasks)
        os.close(worker.results)
    for worker in workers:
        worker.wait()


def _start(work: Callable[[Thing], Any], items: Sequence[Thing], workers: list[_Worker]) -> bool:
    """Starts a process that serves, and enters it among the workers. False where the system does not allow it."""
    # Ctrl-C reaches every process of the terminal: this one ends the others, which never hear of it.
    hidden = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        task_end, tasks = os.pipe()
        results, result_end = os.pipe()
        try:
            process = os.fork()
        except OSError:
            for end in (task_end, tasks, results, result_end):
                os.close(end)
            return False
        if process == 0:
            status = 1
            try:
                for worker in workers:  # an end that stays open elsewhere would hide that this process has ended
                    os.close(worker.tasks)
                    os.close(worker.results)
                os.close(tasks)
                os.close(results)
                _serve(work, items, task_end, result_end)
                status = 0
            except BrokenPipeError:
                pass  # nobody wants the results any more
            finally:
                os._exit(status)
        os.close(task_end)
        os.close(result_end)
        workers.append(_Worker(process, tasks, results))
        return True
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, hidden)


def _serve(work: Callable[[Thing], Any], items: Sequence[Thing], tasks: int, results: int) -> None:
    """The life of a worker: answers numbers of items with messages until the other side closes."""
    gc.set_threshold(1_000_000, 50, 100)  # nothing is looked for in a lot of usual configurations
    while number := os.read(tasks, _NUMBER):
        item = items[int.from_bytes(number, "little")]
        try:
            message = pickle.dumps((True, work(item), ""), pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            import traceback

            text = traceback.format_exc()
            try:
                message = pickle.dumps((False, error, text), pickle.HIGHEST_PROTOCOL)
                pickle.loads(message)
            except Exception:
                message = pickle.dumps((False, RuntimeError(repr(error)), text), pickle.HIGHEST_PROTOCOL)
        data = memoryview(len(message).to_bytes(_LENGTH, "little") + message)
        while data:
            data = data[os.write(results, data) :]


def _hand(worker: _Worker, todo: deque[int], items: Sequence[Item]) -> None:
    """Gives it one more item, if it has not had its lot."""
    if not todo or worker.size >= LOT:
        return
    number = todo.popleft()
    worker.handed.append(number)
    worker.size += items[number].size
    try:
        os.write(worker.tasks, number.to_bytes(_NUMBER, "little"))
    except BrokenPipeError:
        raise _died(worker, items) from None


def _messages(buffer: bytearray) -> Iterator[bytes]:
    """Takes the whole messages out of what has arrived."""
    while len(buffer) >= _LENGTH:
        end = _LENGTH + int.from_bytes(buffer[:_LENGTH], "little")
        if len(buffer) < end:
            return
        message = bytes(buffer[_LENGTH:end])
        del buffer[:end]
        yield message


def _result(message: bytes, item: Item) -> Any:
    good, value, text = pickle.loads(message)  # from our own fork, through a pipe that nobody else has
    if good:
        return value
    value.add_note(f"(while auditing {item.name})")
    raise value from _Elsewhere(text)


def _died(worker: _Worker, items: Sequence[Item]) -> WorkerDied:
    status = worker.wait()
    name = f"{items[worker.handed[0]].name}: " if worker.handed else ""
    if status < 0:
        how = f"was killed by signal {-status}" + (" (out of memory?)" if status == -signal.SIGKILL else "")
    else:
        how = f"ended by itself, with status {status}"
    return WorkerDied(f"{name}the process that audits it {how}" if name else f"a process that audits {how}")
