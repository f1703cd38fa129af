"""The parameters of the best epoch so far: in memory while small, else on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rafm_bench.errors import UserError
from rafm_bench.model_file import SavedModel, save_model
from rafm_bench.tensor_file import hash_file, open_tensors
from rafm_kernels import Parameters, parameter_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.checkpoint import Standing
    from rafm_bench.job import Job

IN_MEMORY = 64 << 20
"""Bytes of parameters up to which the best are copied in memory."""


def bytes_of_best(parameters_bytes: int) -> int:
    """Return the memory that keeping the best parameters takes, besides the model."""
    return parameters_bytes if parameters_bytes <= IN_MEMORY else 0


class Best:
    """Keeps the parameters of the best epoch.

    A file is named by its epoch: the one that a checkpoint speaks of stays until
    another checkpoint is written.
    """

    def __init__(self, job: Job, folder: Path) -> None:
        """Keep the best parameters of a job in files of `folder`."""
        self.job, self.folder = job, folder
        self.kept: Parameters | None = None
        self.on_disk = 0  # the epoch whose file is written

    def take(self, parameters: Parameters, standing: Standing) -> None:
        """Keep the parameters of the epoch that `standing` names best."""
        if bytes_of_best(sum(array.nbytes for array in parameters)):
            self.kept = Parameters(*(array.copy() for array in parameters))
        else:
            self._write(parameters, standing)

    def settle(self, standing: Standing) -> None:
        """See that the file is there which a checkpoint of `standing` speaks of."""
        if self.kept is not None and self.on_disk != standing.best:
            self._write(self.kept, standing)

    def prune(self, standing: Standing) -> None:
        """Remove the files of epochs that the checkpoint no longer speaks of."""
        for file in self.folder.glob("best-*.safetensors"):
            if file != self.file(standing.best):
                file.unlink()

    def file(self, epoch: int) -> Path:
        """Name the file of an epoch."""
        return self.folder / f"best-{epoch}.safetensors"

    def resume(self, file: Path, standing: Standing) -> None:
        """Go on with `file`, which holds the parameters of the best epoch.

        Raises
        ------
        UserError                     when its bytes are not those that were written
        """
        if not file.is_file():
            raise UserError(
                f"{file}: the parameters of the best epoch are gone; remove the run, "
                "and train it again"
            )
        if hash_file(file).hexdigest() != standing.best_sha256:
            raise UserError(
                f"{file}: damaged: its checksum is not that of its bytes; remove the "
                "run, and train it again"
            )
        self.on_disk = standing.best

    def load(self, target: Parameters, file: Path) -> Parameters:
        """Return the best parameters, kept, or else read from `file` into `target`."""
        if self.kept is not None:
            return self.kept
        opened = open_tensors(file)
        for name, array in parameter_arrays(target, self.job.model.layout).items():
            opened.read_into(name, array)
        return target

    def _write(self, parameters: Parameters, standing: Standing) -> None:
        job = self.job
        saved = SavedModel(job.model, parameters, job.data.fingerprint)
        standing.best_sha256 = save_model(self.file(standing.best), saved)
        self.on_disk = standing.best
