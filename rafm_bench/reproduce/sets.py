"""The paper's data sets: which raw files stand for them, and how to get them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["papers", "near", "stand-in", "sample", "generated"]
"""`papers`: the paper's own data; `near`: the same, in part drawn again; `stand-in`:
other data of the same nature; `sample`: too few rows to tell quality; `generated`."""
Protocol = Literal["paper", "clean", "sparse"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Raw files that stand for a data set: names below DIR, with or without .gz.

    A name may be several joined by commas, as `prepare` takes them.
    """

    kind: Kind
    source: str
    raw: tuple[str, ...]
    told: str
    split: Literal["random", "given"] = "random"
    fractions: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set of the paper, or one that stands in for some of them.

    Attributes
    ----------
    name : of its folder of cells
    title : as the paper names it
    choices : raw files, the best first
    get : how to come by the paper's own
    """

    name: str
    title: str
    choices: tuple[Choice, ...]
    get: str


@dataclass(frozen=True, slots=True)
class Found:
    """A data set that is there."""

    data_set: DataSet
    choice: Choice
    raw: tuple[str, ...]

    @property
    def told(self) -> str:
        """Say what stands for the data set."""
        return f"{self.data_set.title}: {self.choice.told}"


_TAG_SPLIT = (0.7, 0.2, 0.1)
_L = "frappe/frappe_l."
SETS = {
    one.name: one
    for one in (
        DataSet(
            "frappe",
            "Frappe",
            (
                Choice(
                    "papers",
                    "libfm",
                    (f"{_L}train.libfm", f"{_L}validation.libfm", f"{_L}test.libfm"),
                    "the paper's own files",
                    "given",
                ),
                Choice(
                    "near",
                    "libfm",
                    (
                        f"{_L}train-positives.exact.libfm,"
                        f"{_L}train-negatives.resampled.libfm",
                        f"{_L}validation.libfm",
                        f"{_L}test.libfm",
                    ),
                    "validation and test are the paper's files; the training file is "
                    "rebuilt, its positives exact, its negatives drawn again",
                    "given",
                ),
                Choice(
                    "near",
                    "frappe",
                    ("frappe/frappe.csv",),
                    "the raw log with two negatives drawn for each positive, split "
                    "70/20/10 at random",
                    fractions=_TAG_SPLIT,
                ),
            ),
            "rafm-bench fetch frappe says where; put frappe.csv, or the files "
            "frappe_l.*.libfm of the authors, into DIR/frappe",
        ),
        DataSet(
            "ml-tag",
            "ML-Tag",
            (
                Choice(
                    "papers",
                    "libfm",
                    (
                        "ml-tag/ml-tag.train.libfm",
                        "ml-tag/ml-tag.validation.libfm",
                        "ml-tag/ml-tag.test.libfm",
                    ),
                    "the paper's own files",
                    "given",
                ),
                Choice(
                    "stand-in",
                    "movielens-tag",
                    ("ml-10m/tags.dat",),
                    "the tags of MovieLens 10M stand in (95,580 positives where the "
                    "paper has 668,953), two negatives drawn for each, split 70/20/10",
                    fractions=_TAG_SPLIT,
                ),
                Choice(
                    "stand-in",
                    "movielens-tag",
                    ("ml-latest-small/tags.csv",),
                    "the tags of MovieLens latest-small stand in, two negatives drawn "
                    "for each, split 70/20/10",
                    fractions=_TAG_SPLIT,
                ),
            ),
            "rafm-bench fetch ml-10m, into DIR/ml-10m, gives tags that stand in; the "
            "paper's own ml-tag.*.libfm, as of github.com/hexiangnan/"
            "attentional_factorization_machine, go into DIR/ml-tag",
        ),
        DataSet(
            "ml-10m",
            "ML-10M",
            (Choice("papers", "movielens", ("ml-10m/ratings.dat",), "its ratings"),),
            "rafm-bench fetch ml-10m --out DIR/ml-10m",
        ),
        DataSet(
            "ml-20m",
            "ML-20M",
            (Choice("papers", "movielens", ("ml-20m/ratings.csv",), "its ratings"),),
            "rafm-bench fetch ml-20m --out DIR/ml-20m",
        ),
        DataSet(
            "amazon-movies",
            "Amazon movies",
            (Choice("papers", "amazon", ("amazon/movies.txt",), "all its reviews"),),
            "rafm-bench fetch amazon-movies --out DIR/amazon",
        ),
        DataSet(
            "ml-1m",
            "MovieLens 1M",
            (
                Choice("stand-in", "movielens", ("ml-1m/ratings.dat",), "its ratings"),
                Choice(
                    "stand-in",
                    "movielens",
                    ("ml-1m/ratings.users-1-2999.dat",),
                    "the ratings of users 1 to 2,999",
                ),
            ),
            "rafm-bench fetch ml-1m --out DIR/ml-1m",
        ),
        DataSet(
            "ml-latest-small",
            "MovieLens latest-small",
            (
                Choice(
                    "stand-in",
                    "movielens",
                    ("ml-latest-small/ratings.csv",),
                    "its ratings",
                ),
            ),
            "rafm-bench fetch ml-latest-small --out DIR/ml-latest-small",
        ),
        DataSet(
            "amazon-instruments",
            "Amazon instruments",
            (
                Choice(
                    "stand-in",
                    "amazon",
                    ("amazon/reviews_Musical_Instruments_5.json",),
                    "10,261 reviews of another category than the paper's",
                ),
            ),
            "rafm-bench fetch names Amazon's ratings; into DIR/amazon",
        ),
        DataSet(
            "criteo",
            "Criteo",
            (
                Choice("papers", "criteo", ("criteo/train.txt",), "all its rows"),
                Choice(
                    "sample",
                    "criteo",
                    ("criteo/train.tsv", "criteo/valid.tsv", "criteo/test.tsv"),
                    "a sample of some thousand rows",
                    "given",
                ),
            ),
            "rafm-bench fetch criteo says where; put train.txt into DIR/criteo",
        ),
        DataSet(
            "avazu",
            "Avazu",
            (
                Choice("papers", "avazu", ("avazu/train.csv",), "all its rows"),
                Choice("papers", "avazu", ("avazu/train",), "all its rows"),
                Choice(
                    "sample",
                    "avazu",
                    ("avazu/CTR_data.csv",),
                    "a sample of some thousand rows",
                ),
            ),
            "rafm-bench fetch avazu says where; put train.csv into DIR/avazu",
        ),
        DataSet(
            "planted",
            "Generated",
            (
                Choice(
                    "generated",
                    "criteo",
                    (),
                    "logs in the layout of Criteo with planted ranks: frequent values "
                    "were given more dimensions",
                ),
            ),
            "",
        ),
    )
}
