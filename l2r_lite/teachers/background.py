"""Asynchronous work in a thread of its own: a notebook's thread has an event loop already."""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

Item = TypeVar("Item")
Put = Callable[[Any], object]


def in_background(
    work: Callable[[Put], Coroutine[Any, Any, None]], stop: Callable[[], bool] = lambda: False
) -> Generator[Any]:
    """Run work in a thread and yield its results as they arrive.

    Closing the generator early cancels the work. What the work raises is raised here.

    Args:
        work: is given a function that hands over one result, and returns the coroutine to run.
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
    """The thread: run the loop, and hand over None at the end, or the exception."""
    outcome: BaseException | None = None
    try:
        loop.run_until_complete(work)
    except asyncio.CancelledError:
        pass
    except BaseException as error:  # noqa: BLE001 - raised again by the reader of the queue
        outcome = error
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        put(outcome)


async def for_each(
    items: Sequence[Item], work: Callable[[Item], Awaitable[None]], *, at_once: int
) -> None:
    """Work on the items, at most `at_once` at a time; the first exception cancels the others."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(items))):
                group.create_task(worker())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
