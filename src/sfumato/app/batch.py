"""Many jobs to files, in batches, in shards, and as often as it takes.

Which files come of it, byte for byte, follows from the jobs and the weights alone: not from what else is asked for, in
which order, in how many shards, or how often it was stopped on the way.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch

from sfumato.app.batch_index import HOME, Index, row_of
from sfumato.app.batch_jobs import Shard
from sfumato.app.job import Loader
from sfumato.app.jobs import AnyJob
from sfumato.app.output import file_name, save_result
from sfumato.app.run import Batch, Result, make_batches, notes, prepare, run
from sfumato.backends.model import Model
from sfumato.errors import SfumatoError
from sfumato.files import locked, sync_folder, writing

WINDOW = 1024
"""Jobs that are held at once; then models are loaded anew, for they remember every prompt that they have read."""
_ON_CPU, _ELSEWHERE = 8, 32
"""Jobs in a batch."""
_TOGETHER = ("generate", "edit", "inpaint", "denoise", "upscale")
"""Kinds that share batches. The filters and sums of the others see all pictures of equal estimates at once, and their
last bit depends on how many these are: they are made one by one."""
_MOST_ERRORS = 100
_END = b"\0\0\0\0IEND\xaeB`\x82"


@dataclass(frozen=True)
class Asked:
    """A job, and the line that asks for it."""

    line: int
    job: AnyJob


@dataclass
class Summary:
    """What became of the jobs of a shard."""

    made: int = 0
    there: int = 0
    """Whose pictures were there already."""
    repeated: int = 0
    """That are equal to an earlier one."""
    failed: int = 0
    errors: dict[int, str] = field(default_factory=dict)
    """What was wrong, by line; the first hundred lines."""

    @property
    def jobs(self) -> int:
        """All of them."""
        return self.made + self.there + self.repeated + self.failed


def make(
    asked: Iterable[Asked],
    out: Path,
    loaders: Callable[[], Loader],
    shard: Shard | None = None,
    *,
    tell: Callable[[str], None] = lambda _: None,
    advance: Callable[[], None] = lambda: None,
) -> Summary:
    """Make the pictures of a shard's jobs that are not there yet, and write the index.

    A picture is in `out`, in a folder by its job's hash, under the name that `file_name` gives it; a file appears when
    it is whole. A job that cannot be made is told in the summary, and the others go on.

    Args:
        asked: The jobs of all shards.
        out: The folder. Other shards may be written into it at the same time.
        loaders: A new loader of models, again and again.
        shard: Which of them to make; all by default.
        tell: Is given notes for the user, some of them several times.
        advance: Is called after each of `asked`, in some order.

    Raises:
        UsageError: Another process makes this shard.
        SfumatoError: A file could not be written, on a full disk say. The same call goes on from there.
    """
    shard = shard or Shard()
    home, name = out / HOME, f"{shard.index}-of-{shard.of}"
    otherwise = f"another process makes shard {shard} in {out}; wait for it, or choose another folder or shard"
    with locked(home / f"{name}.lock", otherwise), closing(Index()) as index:
        desk = home / name
        shutil.rmtree(desk, ignore_errors=True)  # of a process that was killed
        work = _Work(out, desk, index, tell, advance)
        todo: list[_Item] = []
        load = loaders()
        for one in asked:
            item = work.look(one, load) if shard.has(one.job) else None
            if item is None:
                advance()
                continue
            todo.append(item)
            if len(todo) == WINDOW:
                work.do(todo, load)
                todo, load = [], loaders()
        work.do(todo, load)
        index.write(out)
        shutil.rmtree(desk, ignore_errors=True)
    return work.summary


@dataclass(frozen=True)
class _Item:
    """A picture to be made."""

    asked: Asked
    file: str
    """Where it goes, in `out`."""


@dataclass
class _Work:
    """The making of one shard."""

    out: Path
    desk: Path
    """Where files are written before they go to their places: other processes may write there, and not here."""
    index: Index
    tell: Callable[[str], None]
    advance: Callable[[], None]
    summary: Summary = field(default_factory=Summary)

    def look(self, asked: Asked, load: Loader) -> _Item | None:
        """The picture to be made for a job, if there is one."""
        try:
            models = asked.job.models(load)
            file = _place(asked.job, models)
            new = self.index.claim(file, row_of(file, asked.job, models))
        except SfumatoError as error:
            self._fail(asked, error)
            return None
        if not new:
            self.summary.repeated += 1
        elif _whole(self.out / file):
            self.summary.there += 1
            self.index.enter(file)
        else:
            return _Item(asked, file)
        return None

    def do(self, items: Sequence[_Item], load: Loader) -> None:
        """Make these pictures."""
        kin: dict[tuple[int, Hashable], list[_Item]] = {}
        for item in items:
            try:
                (batch,) = make_batches([item.asked.job], load)
            except SfumatoError as error:
                self._fail(item.asked, error)
                self.advance()
                continue
            for note in notes([batch], load):
                self.tell(note)
            kin.setdefault(_alike(batch), []).append(item)
        with suppress(SfumatoError):  # a prompt that cannot be read is told when its job is made
            prepare([item.asked.job for members in kin.values() for item in members], load)
        for (size, _), members in kin.items():
            for start in range(0, len(members), size):
                self._run(members[start : start + size], size, load)

    def _run(self, items: Sequence[_Item], size: int, load: Loader) -> None:
        """Make pictures in one batch of exactly `size` jobs.

        The arithmetic of a forward depends on how many rows it has, in the last bit, which may be a grey level of some
        pixel. So there are always as many, the last job again where jobs are missing.
        """
        jobs = [item.asked.job for item in items]
        try:
            results = run([*jobs, *jobs[-1:] * (size - len(jobs))], load)
        except SfumatoError as error:
            if len(items) == 1:
                self._fail(items[0].asked, error)
                self.advance()
                return
            for item in items:  # one of them it was
                self._run([item], size, load)
            return
        for item, result in zip(items, results[: len(items)], strict=True):
            self._save(result, item.file)
            self.summary.made += 1
            self.advance()

    def _save(self, result: Result, file: str) -> None:
        written, path = save_result(result, self.desk), self.out / file
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            written.replace(path)
        sync_folder(path.parent)
        self.index.enter(file)

    def _fail(self, asked: Asked, error: SfumatoError) -> None:
        self.summary.failed += 1
        if len(self.summary.errors) < _MOST_ERRORS:
            self.summary.errors.setdefault(asked.line, str(error))


def _place(job: AnyJob, models: tuple[Model, ...]) -> str:
    """Where the picture of a job goes: a hundred thousand of them are four hundred in each of 256 folders."""
    any_result = Result(job, models, torch.empty(1, 1, 1))  # its name does not depend on what it shows
    return f"{job.digest[:2]}/{file_name(any_result)}"


def _alike(batch: Batch) -> tuple[int, Hashable]:
    """How many jobs are made in one batch with that of this batch of one, and what they have in common.

    These have as many rows in every forward, whichever jobs they are.
    """
    (task,) = batch.tasks
    job, canvas, model = task.job, task.canvas, batch.model
    if job.kind not in _TOGETHER:
        return 1, None
    size = _ON_CPU if model.device.type == "cpu" else _ELSEWHERE
    start = None if canvas.start is None else canvas.start.level
    stages = (job.model, job.dtype, model.low_res, job.larger)
    return size, (stages, batch.path, batch.sampler, start, len(canvas.estimate.queries()))


def _whole(path: Path) -> bool:
    """Whether a PNG is there to its end: one that was copied here may not be."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_END), 2)
            return file.read() == _END
    except OSError:
        return False
