"""Train every side at each rate, taking turns; print speed and quality as ratios."""

import argparse
import json
import os
import subprocess
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .environments import SCRIPTS, python_of
from .rows import planted_rows, prepared_rows, save

HERE = Path(__file__).parent
RATES = "0.01,0.02,0.05,0.1"  # of each side the best by validation is shown


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--prepared", metavar="DIR", help="default: planted rows")
    parser.add_argument("--n-rows", type=int, default=1_000_000)
    parser.add_argument("--model", default="fm", choices=["lr", "fm", "ffm"])
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1, help="of our side")
    parser.add_argument("--optimizer", default="adagrad", help="of our side")
    parser.add_argument(
        "--initial-accumulator", type=float, default=1.0, help="of our AdaGrad"
    )
    parser.add_argument("--l2", type=float, default=0.0)
    parser.add_argument("--peers", default="xlearn", help="with commas between")
    parser.add_argument(
        "--rates", default=RATES, help="tried on every side, with commas"
    )
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--root", default=".peers", help="environments and rows")
    given = parser.parse_args()
    sides = ["ours", *given.peers.split(",")]
    pythons = {side: python_of(side, given.root) for side in sides}
    rows = make_rows(given)
    best = {side: best_rate(side, pythons, rows, given) for side in sides}
    turns = {side: [] for side in sides}
    for _ in range(given.turns):
        for side in sides:
            turns[side].append(measure(side, pythons[side], rows, best[side], given))
    show(turns, best, given)


def make_rows(given):
    root = Path(given.root)
    root.mkdir(exist_ok=True)
    source = Path(given.prepared).name if given.prepared else f"planted-{given.n_rows}"
    path = root / f"{source}.npz"
    if not path.exists():
        n_held = max(given.n_rows // 10, 1)
        save(
            path,
            prepared_rows(given.prepared)
            if given.prepared
            else planted_rows(given.n_rows, n_held),
        )
    return path


def best_rate(side, pythons, rows, given):
    """Rate with the least validation loss after any of the epochs."""
    rates = [float(rate) for rate in given.rates.split(",")]
    if len(rates) == 1:
        return rates[0]
    found = {
        rate: min(measure(side, pythons[side], rows, rate, given)["valid"])
        for rate in rates
    }
    return min(found, key=found.get)


def measure(side, python, rows, rate, given):
    ours = side == "ours"
    words = {
        "--rows": rows,
        "--work": given.root,
        "--model": given.model,
        "--optimizer": given.optimizer if ours else "adagrad",
        "--rank": given.rank,
        "--rate": rate,
        "--l2": given.l2,
        "--batch": given.batch if ours else 1,
        "--initial-accumulator": given.initial_accumulator if ours else 0,
        "--epochs": given.epochs,
        "--threads": given.threads,
    }
    flat = [str(word) for pair in words.items() for word in pair]
    command = ["taskset", "-c", ",".join(map(str, cores(given.threads)))]
    command += [str(python), str(HERE / SCRIPTS[side]), *flat]
    env = {**os.environ, "OMP_NUM_THREADS": str(given.threads)}
    done = subprocess.run(
        command, env=env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return json.loads(done.stdout.splitlines()[-1])


def cores(n):
    return sorted(os.sched_getaffinity(0))[-n:]


def show(turns, best, given):
    what = f"{given.model} {given.rank}" if given.model != "lr" else "lr"
    heads = ("side", "rate", "train", "score", "epoch: seconds, test log loss")
    table = Table(*heads, title=f"{what}, {given.threads} thread(s); k rows/s per turn")
    for side, results in turns.items():
        speeds = [
            " ".join(f"{result[key] / 1e3:.0f}" for result in results)
            for key in ("train_rows_per_s", "score_rows_per_s")
        ]
        last = results[-1]
        losses = ", ".join(
            f"{seconds:.2f} {loss:.4f}"
            for seconds, loss in zip(last["seconds"], last["test"], strict=True)
        )
        table.add_row(side, f"{best[side]:g}", *speeds, losses)
    console = Console(width=140)
    console.print(table)
    for side in list(turns)[1:]:
        for key in ("train_rows_per_s", "score_rows_per_s"):
            ratios = [
                ours[key] / theirs[key]
                for ours, theirs in zip(turns["ours"], turns[side], strict=True)
            ]
            low, high = min(ratios), max(ratios)
            console.print(f"{key}: ours / {side} = {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()
