"""A second thread beside a reader's own, for a library's calls that may hang; whoever asks waits a bounded time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Task(Generic[T]):
    """One call, under way or done. What came of it is asked for by `result`."""

    def __init__(self, job: Callable[[], T]) -> None:
        """Not begun."""
        self._job = job
        self._done = threading.Event()
        self._value: T | None = None
        self._problem: BaseException | None = None

    def run(self) -> None:
        """Do it; never raises: whoever asks for the result gets what was raised."""
        try:
            self._value = self._job()
        except BaseException as problem:
            self._problem = problem
        self._done.set()

    def wait(self, timeout_s: float) -> bool:
        """Whether it is done, after at most so long."""
        return self._done.wait(timeout_s)

    def result(self) -> T:
        """What the call returned; raises what it raised. It must be done."""
        assert self._done.is_set(), "a result is asked for when it is there"
        if self._problem is not None:
            raise self._problem
        return self._value  # type: ignore[return-value]  # set by the call that returned


class Aside:
    """Does calls one after another. One that hangs keeps this thread, and none but this one."""

    def __init__(self, name: str) -> None:
        """Running. The thread is a daemon: a call that hangs for good must not keep the process from ending."""
        self._tasks: SimpleQueue[Task[object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, job: Callable[[], T]) -> Task[T]:
        """Have `job` called when all calls before it are done."""
        task = Task(job)
        self._tasks.put(task)  # type: ignore[arg-type]  # whatever it returns, nobody but its asker looks
        return task

    def end(self, timeout_s: float) -> bool:
        """End when all calls are done; whether that was within `timeout_s`. May be asked again."""
        self._tasks.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
