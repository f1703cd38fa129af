"""How much quality shards cost: log loss after equal epochs, for 1, 2, 4 shards.

    python -m benchmarks.shard_quality DATA --model fm --ranks 32 --epochs 10

Each line is a run: validation log loss of every epoch, the best one and how far it is
from that of one machine, test log loss, and the bytes that a round exchanges.
"""

import argparse
import tempfile
from pathlib import Path


def main():
    from rafm_datasets import open_prepared

    arguments = _arguments()
    data = open_prepared(arguments.data)
    chosen = {
        "model": arguments.model,
        "ranks": tuple(arguments.ranks),
        "optimizer": arguments.optimizer,
        "learning_rate": arguments.learning_rate,
        "l2": arguments.l2,
        "epochs": arguments.epochs,
        "patience": 0,
    }
    print(  # noqa: T201 - the report
        f"{'shards':>6} {'rows':>6}  {'best':>6} {'+':>7} {'test':>6} {'+':>7}  MB up"
    )
    alone = _run(data, chosen, None)
    for round_rows in arguments.round_rows:
        for shards in arguments.shards:
            _run(data, {**chosen, "shards": shards, "round_rows": round_rows}, alone)


def _run(data, options, alone):
    from rafm_bench.config import TrainConfig
    from rafm_bench.progress import Silent
    from rafm_bench.train import train

    config = TrainConfig(**options)
    with tempfile.TemporaryDirectory() as folder:
        result = train(config, data, Path(folder, "run"), Silent()).result
    losses = [epoch.valid["log_loss"] for epoch in result.epochs]
    found = min(losses), result.test["log_loss"]
    best, test = alone or found
    moved = result.exchange
    megabytes = (
        f"{moved.bytes_up / 1e6:.1f} {moved.bytes_down / 1e6:.1f}" if moved else ""
    )
    print(  # noqa: T201 - the report
        f"{config.shards:>6} {config.round_rows:>6}  {found[0]:.4f} "
        f"{found[0] - best:+.4f} {found[1]:.4f} {found[1] - test:+.4f}  {megabytes}  "
        + " ".join(f"{loss:.4f}" for loss in losses),
        flush=True,
    )
    return found


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--model", default="fm")
    parser.add_argument("--ranks", type=int, nargs="*", default=[32])
    parser.add_argument("--optimizer", default="adagrad")
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--l2", type=float, default=1e-6)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--shards", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--round-rows", type=int, nargs="+", default=[8192])
    return parser.parse_args()


if __name__ == "__main__":
    main()
