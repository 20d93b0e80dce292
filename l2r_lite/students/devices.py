"""One run on several devices: a process for each, started by accelerate. The first leads the run, the others help it.

    accelerate launch --multi_gpu --num_processes 2 -m l2r_lite run …        # --multi_gpu on CPUs, too

The leader runs the loop as if it were alone: teacher, lock, files and report are its own. An exam and a training step it shares
out. A helper knows nothing but a base model; with each order it gets the adapter of this moment and its share of the work, so
that no two processes can drift apart, and a run goes on with any number of them.
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
from l2r_lite.loop.errors import ConfigError
from l2r_lite.loop.errors import printable

if TYPE_CHECKING:
    import torch

    from l2r_lite.loop.records import TrainingItem
    from l2r_lite.loop.student import Student

# What accelerate's other engines announce themselves by. They cut a model into parts: see the message.
_OTHER_ENGINES = ("FSDP", "DEEPSPEED", "MEGATRON_LM")
# A helper waits while the leader asks its teacher, for hours if need be. Whoever died is found by the launcher, not by waiting.
PATIENCE = timedelta(days=30)

Report = dict[str, Any]


def helping() -> bool:
    """Whether this process is one of several and not their leader. Imports nothing."""
    return int(os.environ.get("RANK", "0")) > 0


@cache
def join() -> Team | None:
    """The processes that a launcher started together with this one; None if it is alone.

    Raises:
        ConfigError: the launcher was told to do what cannot be done here; the same in every process.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        if "MASTER_ADDR" in os.environ and "ACCELERATE_MIXED_PRECISION" in os.environ and "RANK" not in os.environ:
            raise ConfigError("accelerate was asked for several processes and started one, as it does without --multi_gpu; "
                              "write: accelerate launch --multi_gpu --num_processes N -m l2r_lite run …, on CPUs, too.")
        return None
    for engine in _OTHER_ENGINES:
        if os.environ.get(f"ACCELERATE_USE_{engine}", "").lower() in ("true", "1"):
            raise ConfigError(f"{engine}: accelerate's configuration cuts the student into parts, and here each device holds a "
                              "whole one (70 billion weights in 4 bits are about 40 GB); choose plain multi-GPU in `accelerate "
                              "config`, or train your lessons elsewhere: l2r-lite export writes them for TRL.")  # fmt: skip
    import torch
    from accelerate import PartialState

    on_cpu = not torch.cuda.is_available()
    _end_at_once_on_signals()
    # Orders are objects and travel by gloo, which waits without computing; weights and gradients travel by NCCL.
    state = PartialState(cpu=on_cpu, backend="gloo" if on_cpu else "cuda:nccl,cpu:gloo", timeout=PATIENCE)
    team = Team(state.process_index, state.num_processes, state.device)
    atexit.register(lambda: team.others_wait or state.destroy_process_group())
    return team


class Team:
    """All processes of a run, as one of them sees them.

    Attributes:
        rank, size: this process's number, from 0 (the leader), and how many there are.
        student: this process's own; the leader puts its own here.
        others_wait: whether others wait for something that this process has to send. If it fails then, it must not begin anything
            else with them: its end tells them.
    """

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self.device = rank, size, device
        self.student: Student | None = None
        self.others_wait = False

    # --- the leader ---

    def lead(self, work: Callable[[], Report]) -> Report:
        """Do the run's work; the helpers go when it is done, or has failed."""
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

    def demonstrate(self, text: str) -> None:
        """As Student.demonstrate, for everybody's student."""
        self._order("demonstrate", text)
        self.others_wait = False
        self._student.demonstrate(text)

    def generate(
        self, prompts: Sequence[str], *, rows: int, progress: Callable[[int], object] | None = None, **options: Any
    ) -> list[list[str]]:
        """As Student.generate, each process writing its share. A sample depends on its prompt and the seed, not on who writes.

        Args:
            rows: rationales written at once by all of them together.
        """
        options["rows"] = max(1, rows // self.size)
        self._order("generate", list(prompts), options)
        self._send_adapter()
        mine: list[list[str]] = []
        failed: BaseException | None = None
        try:
            mine = self._write(prompts, progress=progress, **options)
        except BaseException as error:  # noqa: BLE001 - the helpers send what they wrote in any case
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
        """A training step's gradients: those of the whole batch, each process adding its share."""
        self._order("step", list(items), config, scaler.get_scale())
        self._send_adapter()
        return self._share_of_step(items, config, scaler)

    # --- a helper ---

    def help(self) -> Report:
        """Do what the leader orders, until it lets us go.

        Returns:
            The leader's report.
        """
        while True:
            what, *rest = self._order()
            if what == "load":
                self._load(*rest)
            elif what == "demonstrate":
                self._student.demonstrate(*rest)
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
                    raise SystemExit(0)  # the leader tells why, and its status counts
                return rest[0]

    def _load(self, config: LoopConfig) -> None:
        from l2r_lite.students.loading import student_from

        self.student = student_from(config, self.device)

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
        assert self.student is not None, "nobody has loaded a student"  # noqa: S101
        return self.student

    def _write(self, prompts: Sequence[str], **options: Any) -> list[list[str]]:
        share = prompts[self.rank :: self.size]
        return self._student.generate(share, **options) if share else []

    def _share_of_step(
        self, items: Sequence[TrainingItem], config: LoopConfig, scaler: torch.amp.GradScaler
    ) -> dict[str, float]:
        import torch

        from l2r_lite.loop.training import train_step
        from l2r_lite.students.packing import Share, packed_loss

        objective = partial(packed_loss, share=Share(self.rank, self.size, self.add_up))
        logged = {"lm": 0.0, "cl": 0.0, "triplets": 0.0}  # a share may be empty
        logged |= train_step(self._student, items, config, objective, scaler)
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

        with self._together():
            return reduce(numbers, "sum")

    def _send_adapter(self) -> None:
        """The leader's LoRA weights become everybody's."""
        import torch
        from accelerate.utils import broadcast
        from torch.nn.utils import parameters_to_vector, vector_to_parameters

        weights = list(self._student.trainable.values())
        with torch.no_grad(), self._together():
            vector = broadcast(parameters_to_vector(weights))
            if self.rank:
                vector_to_parameters(vector, weights)

    def _order(self, *order: Any) -> tuple[Any, ...]:
        """The leader's order, to everybody."""
        from accelerate.utils import broadcast_object_list

        box = [order]
        self.others_wait = True
        with self._together():
            broadcast_object_list(box)
        return box[0]

    def _gather(self, texts: list[list[str]]) -> list[list[list[str]]]:
        from accelerate.utils import gather_object

        with self._together():
            gathered = gather_object([texts])
        self.others_wait = False
        return gathered

    @contextmanager
    def _together(self) -> Iterator[None]:
        """What takes all processes: if one of them has died, the others end, each in a sentence."""
        try:
            yield
        except RuntimeError as error:
            _tell(f"another process of this run has ended ({str(error).strip().splitlines()[0]})")
            raise SystemExit(1) from error


_told = threading.Lock()


def _tell(what: str) -> None:
    """One sentence on why this process ends, from the leader, and from one helper in case the leader is who died."""
    if int(os.environ.get("RANK", "0")) < 2 and _told.acquire(blocking=False):
        print(printable(f"\nl2r-lite: {what}. Nothing that was finished is lost; go on, with as many processes as you like: "
                        "l2r-lite run --resume with the run's folder"), file=sys.stderr, flush=True)  # fmt: skip


def _end_at_once_on_signals() -> None:
    """The launcher ends all processes when one has died, by a signal; Ctrl+C goes to all of them.

    Python's own handlers would wait for the main thread, which may hang in a sum that the dead process has no part in any more.
    So a thread of its own waits for them. Nothing needs tidying up: a run folder survives a kill at any moment.
    """
    if not hasattr(signal, "sigwait"):  # Windows, where the launcher ends processes for good
        return
    awaited = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)

    def wait() -> None:
        number = signal.sigwait(awaited)
        if number == signal.SIGTERM:
            _tell("ended by the launcher, as all are when one process of a run dies (killed, out of memory, an error above)")
        elif not helping():
            _tell("stopped")
        os._exit(128 + number)

    threading.Thread(target=wait, daemon=True).start()
