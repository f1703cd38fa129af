"""What each side's script shares: its arguments, its losses, its one line of JSON."""

import argparse
import json
import sys

import numpy as np


def arguments():
    """Read `--rows FILE --model fm --rank 8 --rate 0.05 --epochs 3 --threads 1`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", required=True)
    parser.add_argument("--work", required=True, help="folder for what a peer reads")
    parser.add_argument("--model", default="fm", choices=["lr", "fm", "ffm"])
    parser.add_argument("--optimizer", default="adagrad")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--l2", type=float, default=0.0)
    parser.add_argument("--initial-accumulator", type=float, default=0.0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def log_loss(labels, probabilities):
    p = np.clip(np.asarray(probabilities, np.float64), 1e-7, 1 - 1e-7)
    return float(-np.where(labels > 0, np.log(p), np.log1p(-p)).mean())


def report(seconds, valid, test, score_rows_per_s, n_train):
    """Print the seconds of training, and the losses, after each epoch."""
    steps = np.diff([0.0, *seconds])
    result = {
        "train_rows_per_s": n_train / float(np.median(steps)),
        "score_rows_per_s": score_rows_per_s,
        "seconds": seconds,
        "valid": valid,
        "test": test,
    }
    sys.stdout.write(json.dumps(result) + "\n")
