"""Asynchronous work in a thread of its own: notebooks run in an event loop of their own, where ours could not."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

Put = Callable[[Any], object]


def in_background(work: Callable[[Put], Coroutine[Any, Any, None]], stop: Callable[[], bool] = lambda: False) -> Generator[Any]:
    """Run work, and yield what it puts out as it comes. Leaving the generator early cancels the work.

    Args:
        work: is given a function that puts one item out, and makes the coroutine; what that raises is raised here.
        stop: asked several times a second; True ends the work early.
    """
    arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
    loop = asyncio.new_event_loop()
    task = loop.create_task(work(arrived.put))
    thread = threading.Thread(target=_run, args=(loop, task, arrived.put), daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = arrived.get(timeout=0.2)
            except queue.Empty:
                if stop():
                    return
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        with suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(task.cancel)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop, work: asyncio.Task[None], put: Put) -> None:
    """The thread: runs the loop, and says at the end how it went: None, or the exception."""
    outcome: BaseException | None = None
    try:
        loop.run_until_complete(work)
    except asyncio.CancelledError:
        pass
    except BaseException as error:  # noqa: BLE001 - whatever it is, the reader of the queue must hear of it
        outcome = error
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        put(outcome)
