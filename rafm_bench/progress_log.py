"""RUN/progress.csv: how far training is, line by line, for whoever draws it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rafm_bench.run import PROGRESS
from rafm_bench.staging import filling

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.checkpoint import Standing
    from rafm_bench.engine import Advance

HEADER = "seconds,epoch,rows,loss,mean_loss\n"


class ProgressLog:
    """Appends to the log of a run; what a lost process wrote after its checkpoint goes.

    Columns: seconds of training passes, epoch, rows of it that are done, mean loss of
    the rows since the line before, mean loss of the epoch so far.
    """

    def __init__(self, folder: Path, standing: Standing) -> None:
        """Go on where the checkpoint of `standing` was written."""
        self.file = folder / PROGRESS
        self.before = sum(epoch.seconds for epoch in standing.epochs)
        with filling(self.file):
            self.handle = self.file.open("ab", buffering=0)
            kept = min(standing.logged, self.handle.tell())
            self.handle.truncate(kept)
            self.handle.seek(kept)
            if not kept:
                self._write(HEADER)

    def line(self, standing: Standing, part: Advance) -> None:
        """Write a line for a part of an epoch that `standing` holds already."""
        seconds = self.before + standing.seconds
        losses = part.loss_sum / max(1, part.rows), standing.sums[0] / standing.rows
        numbers = f"{losses[0]:.6f},{losses[1]:.6f}"
        with filling(self.file):
            self._write(f"{seconds:.3f},{standing.epoch},{standing.rows},{numbers}\n")

    def end_epoch(self, standing: Standing) -> None:
        """Count the seconds of the epoch that ends."""
        self.before += standing.seconds

    def sync(self) -> int:
        """See that all lines are on the disk; return the bytes of the log."""
        with filling(self.file):
            os.fsync(self.handle.fileno())
            return self.handle.tell()

    def close(self) -> None:
        """Close the file."""
        self.handle.close()

    def _write(self, line: str) -> None:
        self.handle.write(line.encode("ascii"))
