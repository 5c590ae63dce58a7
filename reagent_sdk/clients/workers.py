"""Daemon threads for blocking calls into native code, first come, first served."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

_Job = tuple["Future[None]", Callable[[], None]]


class Workers:
    """At most `count` jobs at once, whichever event loops they come from; a queued job can be cancelled at no cost.

    Unlike the threads of `concurrent.futures` these do not keep the interpreter from exiting. Whoever owns them must
    `stop` them before it finalises: a thread that comes back from native code after that takes the process down.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stopped = False

    def submit(self, job: Callable[[], None]) -> Future[None]:
        """Queues a job.

        Raises:
            RuntimeError: the workers were stopped.
        """
        future: Future[None] = Future()
        with self._lock:
            if self._stopped:
                raise RuntimeError("the workers were stopped")
            if len(self._threads) < self._count:
                thread = threading.Thread(target=_work, args=(self._jobs,), name=self._name, daemon=True)
                self._threads.append(thread)
                thread.start()
            self._jobs.put((future, job))
        return future

    def stop(self, patience: float) -> bool:
        """Ends the threads after the jobs they are at; returns whether all ended within `patience` seconds."""
        with self._lock:
            self._stopped = True
            for _ in self._threads:
                self._jobs.put(None)
        deadline = time.monotonic() + patience
        others = [thread for thread in self._threads if thread is not threading.current_thread()]
        for thread in others:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in others)


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    while (entry := jobs.get()) is not None:
        future, job = entry
        failure = _failure_of(job) if future.set_running_or_notify_cancel() else None
        del entry, job  # before the waiter goes on: a thread that has done its work must not keep an engine alive
        if failure is not None:
            future.set_exception(failure)
        elif not future.cancelled():
            future.set_result(None)
        del future, failure


def _failure_of(job: Callable[[], None]) -> BaseException | None:
    try:
        job()
    except BaseException as error:  # belongs to whoever waits for the job
        return error
    return None
