"""Calls as the tasks of an array job on a cluster, by submitit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfumato.errors import SfumatoError


@dataclass(frozen=True)
class Resumable:
    """A function of one argument that goes on where it was when it is called again, after the cluster stopped it."""

    function: Callable[[Any], None]

    def __call__(self, argument: Any) -> None:
        """Call it."""
        self.function(argument)

    def checkpoint(self, argument: Any) -> Any:
        """What submitit queues in place of a task that is preempted or out of time: the same one."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, argument)


def submit(
    function: Callable[[Any], None],
    arguments: Sequence[Any],
    folder: Path,
    settings: Mapping[str, Any],
    cluster: str = "slurm",
) -> list[Any]:
    """Submit an array of calls and return its jobs, as submitit has them, without waiting for any.

    Args:
        function: What to call, once for each argument; it must be one that goes on where it was.
        arguments: One for each task.
        folder: Where the tasks write what they say. All machines must see it.
        settings: Of the cluster, such as partition or time, by submitit's names.
        cluster: slurm; or local and debug, which are there to be tested with.

    Raises SfumatoError when submitit is not installed, there is no such cluster here, or it refuses.
    """
    try:
        from submitit import AutoExecutor
    except ImportError as error:
        raise SfumatoError("a cluster needs submitit: pip install 'sfumato[cluster]'") from error
    try:
        executor = AutoExecutor(folder=folder, cluster=cluster)
        executor.update_parameters(**{f"slurm_{key}": value for key, value in settings.items()})
        return executor.map_array(Resumable(function), arguments)
    except RuntimeError as error:
        if "srun" in str(error):
            raise SfumatoError("Slurm is not on this machine; submit where sbatch is, or run --shard i/n") from error
        raise SfumatoError(f"Slurm did not take it: {error}") from error
    except (NameError, AssertionError, ValueError, OSError) as error:
        raise SfumatoError(f"Slurm cannot be asked for that: {str(error).splitlines()[0]}") from error
