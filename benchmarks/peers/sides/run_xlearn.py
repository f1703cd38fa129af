"""xLearn 0.40a1: row by row from text files, whose binary cache it makes at first.

Its time of E epochs is fit(E + 1) - fit(1), so that reading drops out.
"""

import os
import time
from pathlib import Path

import numpy as np
from measuring import arguments, log_loss, report
from rows import load

os.environ.setdefault("USER", "bench")  # it aborts where USER is not set


def write_text(path, part, ffm):
    import polars as pl

    if path.exists():
        return
    columns = {f"c{f}": part.ids[:, f] for f in range(part.ids.shape[1])}
    frame = pl.DataFrame({"y": part.labels.astype(np.int8), **columns})
    entries = []
    for field, name in enumerate(columns):
        first = f"{field}:" if ffm else ""
        entries.append(pl.format(first + "{}:1", pl.col(name)))
    text = frame.select(pl.concat_str([pl.col("y"), *entries], separator=" "))
    text.write_csv(path, include_header=False, quote_style="never")


def main():
    given = arguments()
    rows = load(given.rows)
    work = Path(given.work)
    ending = "ffm" if given.model == "ffm" else "svm"
    paths = [work / f"{Path(given.rows).stem}-{n}.{ending}" for n in rows._fields[:3]]
    for path, part in zip(paths, rows[:3], strict=True):
        write_text(path, part, ending == "ffm")
    out = os.dup(1)
    os.dup2(2, 1)  # it logs to stdout even when told to be quiet
    import xlearn

    create = {"lr": xlearn.create_linear, "fm": xlearn.create_fm,
              "ffm": xlearn.create_ffm}[given.model]  # fmt: skip
    settings = {"task": "binary", "lr": given.rate, "k": given.rank,
                "lambda": given.l2, "opt": given.optimizer,
                "nthread": given.threads}  # fmt: skip
    saved, predicted = str(work / "xlearn.model"), str(work / "xlearn.out")

    def fit(epochs):
        model = create()
        model.setTrain(str(paths[0]))
        model.setQuiet()
        model.disableNorm()
        if given.threads == 1:
            model.disableLockFree()
        start = time.perf_counter()
        model.fit({**settings, "epoch": epochs}, saved)
        return model, time.perf_counter() - start

    def predict(model, path):
        model.setTest(str(path))
        model.setSigmoid()
        start = time.perf_counter()
        model.predict(saved, predicted)  # its time holds reading and writing text
        seconds = time.perf_counter() - start
        return np.loadtxt(predicted), seconds

    fit(1)  # makes the cache
    seconds, losses = [], {"valid": [], "test": []}
    for epoch in range(1, given.epochs + 1):
        model, took = fit(epoch)
        seconds.append(took)
        for name, path, part in zip(losses, paths[1:], rows[1:3], strict=False):
            losses[name].append(log_loss(part.labels, predict(model, path)[0]))
    _, took = fit(given.epochs + 1)
    epoch_seconds = (took - seconds[0]) / given.epochs
    _, scoring = predict(model, paths[2])
    os.dup2(out, 1)
    seconds = [epoch_seconds * (k + 1) for k in range(given.epochs)]
    report(seconds, **losses, score_rows_per_s=len(rows.test.labels) / scoring,
           n_train=len(rows.train.labels))  # fmt: skip


main()
