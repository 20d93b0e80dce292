"""One run on several devices: one process per device, started by accelerate; the first leads.

    accelerate launch --multi_gpu --num_processes 2 -m l2r_lite run …     # --multi_gpu on CPUs, too

The leader runs the loop as if it were alone: it owns teacher, lock, files and report. It splits
exams and training steps among all processes. A helper has only a base model; each order brings the
current adapter and the work, so processes cannot drift apart, and a run can be resumed with any
number of them.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from l2r_lite.loop.config import LoopConfig
from l2r_lite.loop.errors import ConfigError, printable

if TYPE_CHECKING:
    import torch

    from l2r_lite.loop.records import Problem, TrainingItem
    from l2r_lite.loop.student import Student
    from l2r_lite.students.memory import Allowance

# Engines of accelerate that split a model, as named in its environment variables.
_OTHER_ENGINES = ("FSDP", "DEEPSPEED", "MEGATRON_LM")
# A helper waits while the leader calls its teacher, for hours if necessary. The launcher, not a
# timeout, detects that a process has died.
PATIENCE = timedelta(days=30)

Report = dict[str, Any]


def helping() -> bool:
    """Whether this process is a helper: one of several, not the leader. Imports nothing."""
    return int(os.environ.get("RANK", "0")) > 0


@cache
def join() -> Team | None:
    """The processes that a launcher started together with this one; None if it is alone.

    Raises:
        ConfigError: the launcher uses an unsupported mode; every process raises the same.
    """
    env = os.environ
    if int(env.get("WORLD_SIZE", "1")) < 2:
        launched = "MASTER_ADDR" in env and "ACCELERATE_MIXED_PRECISION" in env
        if launched and "RANK" not in env:
            raise ConfigError(
                "accelerate was asked for several processes but started one, as it does without "
                "--multi_gpu; write: accelerate launch --multi_gpu --num_processes N -m l2r_lite "
                "run …, on CPUs, too.")
        return None
    for engine in _OTHER_ENGINES:
        if env.get(f"ACCELERATE_USE_{engine}", "").lower() in ("true", "1"):
            raise ConfigError(
                f"{engine}: accelerate's configuration splits the student, but here each "
                "device holds a whole one (70 billion weights in 4 bits are about 40 GB); choose "
                "plain multi-GPU in `accelerate config`, or train your lessons elsewhere: l2r-lite "
                "export writes them for TRL.")
    import torch
    from accelerate import PartialState

    on_cpu = not torch.cuda.is_available()
    _end_at_once_on_signals()
    # gloo sends the orders (Python objects) and does not compute while it waits; NCCL sends weights
    # and gradients.
    backend = "gloo" if on_cpu else "cuda:nccl,cpu:gloo"
    state = PartialState(cpu=on_cpu, backend=backend, timeout=PATIENCE)
    team = Team(state.process_index, state.num_processes, state.device)
    atexit.register(lambda: team.others_wait or state.destroy_process_group())
    return team


class Team:
    """All processes of a run, as one of them sees them.

    Attributes:
        rank, size: this process's number, from 0 (the leader), and the number of processes.
        student: this process's own; the leader sets its own here.
        others_wait: the others wait for this process to send something. If it fails now, it must
            not start anything else with them: they end when it ends.
    """

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self.device = rank, size, device
        self.student: Student | None = None
        self.others_wait = False
        self._items: Allowance | None = None

    # --- the leader ---

    def lead(self, work: Callable[[], Report]) -> Report:
        """Do the run's work; release the helpers when it is done or has failed."""
        report = None
        try:
            report = work()
            return report
        finally:
            if not self.others_wait:
                self._order("go", report)
                self.others_wait = False

    def load(self, config: LoopConfig) -> None:
        """Have the helpers load the student, while the leader loads its own."""
        self._order("load", config)
        self.others_wait = False

    def show(self, examples: Sequence[tuple[Problem, str]]) -> None:
        """Put worked examples before every question, for the students of all processes."""
        self._order("show", list(examples))
        self.others_wait = False
        self._student.show(examples)

    def generate(
        self, prompts: Sequence[str], *, rows: int,
        progress: Callable[[int], object] | None = None, **options: Any,
    ) -> list[list[str]]:
        """See Student.generate; each process writes its share.

        A sample depends on its prompt and the seed, not on the process that writes it.

        Args:
            rows: rationales written at once by all processes together.
        """
        options["rows"] = max(1, rows // self.size)
        self._order("generate", list(prompts), options)
        self._send_adapter()
        mine: list[list[str]] = []
        failed: BaseException | None = None
        try:
            mine = self._write(prompts, progress=progress, **options)
        except BaseException as error:  # noqa: BLE001 - the helpers send what they wrote anyway
            failed = error
        shares = self._gather(mine)
        if failed:
            raise failed
        if progress:
            progress(len(prompts) - len(mine))
        written: list[list[str]] = [[] for _ in prompts]
        for rank, share in enumerate(shares):
            written[rank :: self.size] = share
        return written

    def step(
        self, items: Sequence[TrainingItem], config: LoopConfig, scaler: torch.amp.GradScaler
    ) -> dict[str, float]:
        """Compute a training step's gradients: the sum of all processes' shares of the batch."""
        self._order("step", list(items), config, scaler.get_scale())
        self._send_adapter()
        return self._share_of_step(items, config, scaler)

    # --- a helper ---

    def help(self) -> Report:
        """Follow the leader's orders until the run is done; return the leader's report."""
        from l2r_lite.students.loading import student_from

        while True:
            what, *rest = self._order()
            if what == "load":
                self.student = student_from(rest[0], self.device)
            elif what == "show":
                self._student.show(*rest)
            elif what == "generate":
                self._send_adapter()
                prompts, options = rest
                self._gather(self._write(prompts, **options))
            elif what == "step":
                self._send_adapter()
                self._help_with_step(*rest)
            else:
                self.others_wait = False
                if rest[0] is None:
                    raise SystemExit(0)  # the leader reports why, and its exit status counts
                return rest[0]

    def _help_with_step(
        self, items: list[TrainingItem], config: LoopConfig, scale: float
    ) -> None:
        import torch

        student = self._student
        student.model.train()
        half = student.dtype == torch.float16
        scaler = torch.amp.GradScaler(self.device.type, init_scale=scale, enabled=half)
        self._share_of_step(items, config, scaler)
        for weight in student.trainable.values():
            weight.grad = None

    # --- all of them ---

    @property
    def _student(self) -> Student:
        assert self.student is not None, "no student is loaded"  # noqa: S101
        return self.student

    def _write(self, prompts: Sequence[str], **options: Any) -> list[list[str]]:
        share = prompts[self.rank :: self.size]
        return self._student.generate(share, **options) if share else []

    def _share_of_step(
        self, items: Sequence[TrainingItem], config: LoopConfig, scaler: torch.amp.GradScaler
    ) -> dict[str, float]:
        import torch

        from l2r_lite.students.memory import Allowance, step_that_fits
        from l2r_lite.students.packing import Share, packed_loss

        sums: list[torch.Tensor] = []

        def add_up_once(numbers: torch.Tensor) -> torch.Tensor:
            # If memory runs out, this process repeats its share, and the others do not.
            if not sums:
                sums.append(self.add_up(numbers))
            return sums[0]

        objective = partial(packed_loss, share=Share(self.rank, self.size, add_up_once))
        if self._items is None:
            self._items = Allowance("items in memory at once in training", "--micro-batch")
        logged = {"lm": 0.0, "cl": 0.0, "triplets": 0.0}  # a share may be empty
        logged |= step_that_fits(self._student, items, config, objective, scaler, self._items)
        weights = list(self._student.trainable.values())
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        numbers = torch.tensor(list(logged.values()), device=self.device)
        summed = self.add_up(torch.cat([*(g.flatten() for g in gradients), numbers]))
        parts = summed[: -len(logged)].split([w.numel() for w in weights])
        for weight, gradient in zip(weights, parts, strict=True):
            weight.grad = gradient.view_as(weight)
        self.others_wait = False
        return dict(zip(logged, summed[-len(logged) :].tolist(), strict=True))

    def add_up(self, numbers: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, element by element."""
        from accelerate.utils import reduce

        with _collective():
            return reduce(numbers, "sum")

    def _send_adapter(self) -> None:
        """Copy the leader's LoRA weights to all processes."""
        import torch
        from accelerate.utils import broadcast
        from torch.nn.utils import parameters_to_vector, vector_to_parameters

        weights = list(self._student.trainable.values())
        with torch.no_grad(), _collective():
            vector = broadcast(parameters_to_vector(weights))
            if self.rank:
                vector_to_parameters(vector, weights)

    def _order(self, *order: Any) -> tuple[Any, ...]:
        """Send the leader's order to all processes; a helper receives it."""
        from accelerate.utils import broadcast_object_list

        box = [order]
        self.others_wait = True
        with _collective():
            broadcast_object_list(box)
        return box[0]

    def _gather(self, texts: list[list[str]]) -> list[list[list[str]]]:
        from accelerate.utils import gather_object

        with _collective():
            gathered = gather_object([texts])
        self.others_wait = False
        return gathered


@contextmanager
def _collective() -> Iterator[None]:
    """Wrap an operation of all processes: if one of them has died, end this one with a message."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        _report_end(f"another process of this run has ended ({reason})")
        raise SystemExit(1) from error


_end_reported = threading.Lock()


def _report_end(why: str) -> None:
    """Print once why this process ends. Rank 1 prints it too, in case the leader has died."""
    if int(os.environ.get("RANK", "0")) < 2 and _end_reported.acquire(blocking=False):
        message = (f"\nl2r-lite: {why}. Finished work is kept; resume with any "
                   "number of processes: l2r-lite run --resume with the run's folder")
        print(printable(message), file=sys.stderr, flush=True)


def _end_at_once_on_signals() -> None:
    """End on SIGTERM, which the launcher sends to all when one process has died, and on Ctrl+C.

    Python's own handlers run in the main thread, which may hang in a sum with the dead process. So
    a separate thread waits for signals. No cleanup is needed: a run folder survives a kill at any
    moment.
    """
    if not hasattr(signal, "sigwait"):  # Windows, where the launcher kills processes
        return
    awaited = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)

    def wait() -> None:
        number = signal.sigwait(awaited)
        if number == signal.SIGTERM:
            _report_end("ended by the launcher because one process of the run died (killed, "
                        "out of memory, or an error above)")
        elif not helping():
            _report_end("stopped")
        os._exit(128 + number)

    threading.Thread(target=wait, daemon=True).start()
