"""The options of a training run: one frozen type that flags and files are read by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rafm_bench import checks
from rafm_bench.errors import UserError, door
from rafm_bench.options import check_fields
from rafm_bench.options import choice as _choice
from rafm_bench.options import option as _option
from rafm_kernels import (
    L2_SCOPES,
    LOSSES,
    MODELS,
    OPTIMIZERS,
    PROJECTIONS,
    RANK_RULES,
    Optimizer,
    check_rank_rule_fits,
    check_ranks_fit,
)

if TYPE_CHECKING:
    from rafm_kernels import (
        L2Scope,
        Loss,
        ModelName,
        OptimizerName,
        Projection,
        RankRule,
    )
    from rafm_kernels.parameters import ParameterType

Validation = Literal["split", "progressive"]

ROUND_ROWS = 8192
DEFAULT_RANKS = {
    "fm": (32,),
    "rafm": (32, 128),
    "difacto": (32, 128),
    "mrma": (8, 32),
    "ffm": (4,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """All that decides a training run besides its data; checked when it is made."""

    model: ModelName = field(
        default="rafm",
        metadata=_choice(
            MODELS,
            "Linear (logistic) regression, FM, RaFM, or a rival of it: DiFacto, MRMA "
            "(two fields only), FFM (needs fields).",
        ),
    )
    ranks: tuple[int, ...] = field(
        default=(),
        metadata=_option(
            checks.ranks,
            "D,D,...",
            "Ranks of the embeddings, increasing; fm and ffm take one, lr none "
            "[default: fm 32; ffm 4; mrma 8,32; rafm, difacto 32,128]",
        ),
    )
    rank_rule: RankRule = field(
        default="eq17",
        metadata=_choice(
            RANK_RULES,
            "How a feature's training count decides its highest rank: Eq. 17 of the "
            "paper, --thresholds, or the --levels file.",
        ),
    )
    thresholds: tuple[int, ...] = field(
        default=(),
        metadata=_option(
            checks.wholes(0),
            "N,N,...",
            "For --rank-rule thresholds: a feature seen more than N times has the next "
            "rank too; one number fewer than ranks.",
        ),
    )
    levels: str | None = field(
        default=None,
        metadata=_option(
            checks.optional(checks.text),
            "FILE",
            "For --rank-rule explicit: CSV or Parquet with columns id,level or "
            "field,value,level; level 1 is the lowest, and of features not named.",
        ),
    )
    projection: Projection = field(
        default="joint",
        metadata=_choice(
            PROJECTIONS,
            "What dependent factors learn from: also the prediction (the authors' "
            "program), or only the next level (Algorithm 1).",
        ),
    )
    loss: Loss | None = field(
        default=None,
        metadata=_option(
            checks.optional(checks.choice(*LOSSES)),
            "|".join(LOSSES),
            "Loss to minimise [default: log for 0/1 labels, square for ratings]",
        ),
    )
    backend: str = field(
        default="numba",
        metadata=_option(
            checks.text, "NAME", "What computes; `rafm-bench backends` lists them."
        ),
    )
    threads: int = field(
        default=1,
        metadata=_option(
            checks.whole(1),
            "N",
            "Threads at most (numba-parallel uses them); results do not depend on it.",
        ),
    )
    dtype: ParameterType = field(
        default="float32",
        metadata=_choice(("float32", "float64"), "Number type of the parameters."),
    )
    optimizer: OptimizerName = field(
        default="adagrad",
        metadata=_choice(OPTIMIZERS, "How a gradient changes the parameters."),
    )
    learning_rate: float = field(
        default=0.05, metadata=_option(checks.real(above=0), "RATE", "Step size.")
    )
    dependent_learning_rate: float | None = field(
        default=None,
        metadata=_option(
            checks.optional(checks.real(above=0)),
            "RATE",
            "Step size of dependent factors [default: --learning-rate]",
        ),
    )
    l2: float = field(
        default=1e-6,
        metadata=_option(
            checks.real(at_least=0), "X", "L2 penalty on what a batch touches."
        ),
    )
    l2_scope: L2Scope = field(
        default="touched",
        metadata=_choice(
            L2_SCOPES,
            "For adam-dense: L2 on what a batch touches, or on all embeddings and no "
            "linear weight (the authors' program).",
        ),
    )
    l1: float = field(
        default=0.0,
        metadata=_option(
            checks.real(at_least=0),
            "X",
            "For ftrl: L1 penalty, which makes weights and embeddings exactly 0.",
        ),
    )
    beta: float = field(
        default=1.0,
        metadata=_option(
            checks.real(above=0), "X", "For ftrl: larger is slower at first."
        ),
    )
    initial_accumulator: float = field(
        default=0.0,
        metadata=_option(
            checks.real(at_least=0),
            "X",
            "For adagrad and adagrad-row: where the sums of squared gradients begin; "
            "1 goes well with --batch-size 1.",
        ),
    )
    batch_size: int = field(
        default=256, metadata=_option(checks.whole(1), "N", "Rows per step.")
    )
    blocks: int = field(
        default=0,
        metadata=_option(
            checks.whole(0),
            "N",
            "Make an epoch of N random blocks of --batch-size neighbouring rows, and "
            "metrics means over N blocks (the authors' program); 0: each row once.",
        ),
    )
    epochs: int = field(
        default=20,
        metadata=_option(checks.whole(1), "N", "Passes over the data, at most."),
    )
    patience: int = field(
        default=2,
        metadata=_option(
            checks.whole(0),
            "N",
            "Stop after N epochs without a better validation loss; 0 is never.",
        ),
    )
    validation: Validation = field(
        default="split",
        metadata=_choice(
            ("split", "progressive"),
            "What the best epoch is chosen by: validation rows, or in one epoch the "
            "loss of each training row before its own step.",
        ),
    )
    init_from: str | None = field(
        default=None,
        metadata=_option(
            checks.optional(checks.text),
            "RUN",
            "Start from the weights of a finished run of the same data, model and "
            "ranks.",
        ),
    )
    seed: int = field(
        default=0,
        metadata=_option(
            checks.whole(0), "N", "Decides the first weights and the order of rows."
        ),
    )
    shuffle_window: int = field(
        default=8,
        metadata=_option(
            checks.whole(1),
            "N",
            "Row groups whose rows are mixed with each other; more take more memory.",
        ),
    )

    shards: int = field(
        default=1,
        metadata=_option(
            checks.whole(1),
            "N",
            "Cut the rows into N shards that are trained side by side in rounds; "
            "--workers or --scheduler say where. Results depend on N.",
        ),
    )
    round_rows: int = field(
        default=ROUND_ROWS,
        metadata=_option(
            checks.whole(1),
            "N",
            "With --shards: rows of a shard from one merge to the next; 4096 to 16384 "
            "were as good as one machine on Frappe and generated Criteo.",
        ),
    )

    def __post_init__(self) -> None:
        """Check every value, then the values against each other."""
        check_fields(self)
        if not self.ranks:
            object.__setattr__(self, "ranks", DEFAULT_RANKS.get(self.model, ()))
        with door():
            check_ranks_fit(self.model, self.ranks)
            self.make_optimizer()
            check_rank_rule_fits(self.model, self.rank_rule)
        _check_rank_rule(self)
        _check_dependents(self)
        if self.shards == 1 and self.round_rows != ROUND_ROWS:
            raise UserError(
                f"--round-rows is for shards, and --shards is 1, got --round-rows "
                f"{self.round_rows}; give --shards, or leave it out"
            )
        if self.validation == "progressive" and self.epochs > 1:
            raise UserError(
                "--validation progressive scores each row before training ever saw it, "
                f"so for one epoch, got --epochs {self.epochs}; give --epochs 1"
            )

    def make_optimizer(self) -> Optimizer:
        """Return the optimizer that the options describe."""
        return Optimizer(
            self.optimizer,
            self.learning_rate,
            self.dependent_learning_rate,
            l2=self.l2,
            l1=self.l1,
            l2_scope=self.l2_scope,
            beta=self.beta,
            initial_accumulator=self.initial_accumulator,
        )


def _check_rank_rule(config: TrainConfig) -> None:
    owned = {
        "thresholds": ("--thresholds", bool(config.thresholds)),
        "explicit": ("--levels", config.levels is not None),
    }
    for rule, (flag, given) in owned.items():
        if given and config.rank_rule != rule:
            raise UserError(
                f"{flag} goes with --rank-rule {rule}, got --rank-rule "
                f"{config.rank_rule}; give both, or neither"
            )
        if config.rank_rule == rule and not given:
            raise UserError(f"--rank-rule {rule} needs {flag}; add it")


def _check_dependents(config: TrainConfig) -> None:
    """Refuse what tells dependent factors how to learn where a model has none."""
    given = {
        "--projection": None if config.projection == "joint" else config.projection,
        "--dependent-learning-rate": config.dependent_learning_rate,
    }
    for flag, value in given.items():
        if value is not None and config.model != "rafm":
            raise UserError(
                f"{flag} {value} is for the dependent factors of --model rafm, and "
                f"--model {config.model} has none; leave it out"
            )
