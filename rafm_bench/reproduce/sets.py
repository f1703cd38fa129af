"""The paper's data sets: which raw files stand for them, and how to get them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Kind = Literal["papers", "near", "part", "stand-in", "sample", "generated"]
"""`papers`: the paper's own data; `near`: the same, in part drawn again; `part`: their
first lines alone; `stand-in`: other data of the same nature; `sample`: too few rows to
tell quality; `generated`."""
Protocol = Literal["paper", "clean", "sparse"]
Counts = Literal["all", "train"]
"""The splits whose counts rank features."""


def counts_of(protocol: Protocol) -> Counts:
    """Return whose counts rank features under a protocol."""
    return "all" if protocol == "paper" else "train"


@dataclass(frozen=True, slots=True)
class Choice:
    """Raw files that stand for a data set, and how they are prepared.

    Attributes
    ----------
    raw : names below DIR, see `gather.find`; one may be several joined by commas, as
        `prepare` takes them
    min_count, hour : as `prepare` takes them
    differs : what is known or guessed to be other than the paper's preparation
    """

    kind: Kind
    source: str
    raw: tuple[str, ...]
    told: str
    split: Literal["random", "given"] = "random"
    fractions: tuple[float, float, float] | None = None
    min_count: int = 1
    hour: Literal["drop"] | None = None
    differs: str = ""


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
    """A data set that is there: as raw files or, without any, prepared already.

    `prepared` are folders of prepared data by the splits whose counts rank features.
    """

    data_set: DataSet
    choice: Choice
    raw: tuple[str, ...]
    prepared: Mapping[Counts, Path] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """Say what stands for the data set."""
        return f"{self.data_set.title}: {self.choice.told}"

    def why_not(self, protocol: Protocol) -> str:
        """Say why the data do not suit a protocol; empty where they do."""
        counts = counts_of(protocol)
        if self.raw or not self.prepared or counts in self.prepared:
            return ""
        return (
            f"the {protocol} protocol was left out: what is prepared in "
            f"DIR/{self.data_set.name} has counts of {next(iter(self.prepared))} "
            f"splits, not of {counts}; put the raw files there, or prepare them with "
            f"--count-splits {counts} into a folder below"
        )


_TAG_SPLIT = (0.7, 0.2, 0.1)
_L, _N = "frappe/frappe_l.", "frappe/frappe."
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
                    "papers",
                    "libfm",
                    (f"{_N}train.libfm", f"{_N}validation.libfm", f"{_N}test.libfm"),
                    "the files of the NFM repository, which have the paper's numbers "
                    "of rows and features",
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
            "frappe_l.*.libfm of the authors, into DIR/frappe; frappe.*.libfm, as of "
            "github.com/hexiangnan/neural_factorization_machine, have the same rows",
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
            (
                Choice(
                    "stand-in",
                    "amazon",
                    ("amazon/movies.txt",),
                    "all 7.9 million reviews stand in, where the paper has 1.2 million "
                    "and does not say which",
                ),
            ),
            "rafm-bench fetch amazon-movies --out DIR/amazon gets all reviews; which "
            "of them are the paper's is not said",
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
                Choice(
                    "stand-in",
                    "amazon",
                    ("amazon/ratings_Musical_Instruments.csv",),
                    "all ratings of another category than the paper's",
                ),
            ),
            "rafm-bench fetch amazon-2014 --category Musical_Instruments --out "
            "DIR/amazon",
        ),
        DataSet(
            "criteo",
            "Criteo",
            (
                Choice(
                    "papers",
                    "criteo",
                    ("criteo/train.txt",),
                    "all its rows",
                    min_count=10,
                    differs="values seen fewer than 10 times are one rare value of "
                    "their field, a guess that comes near the paper's 1,086,901 "
                    "features",
                ),
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
                *(
                    Choice(
                        "papers",
                        "avazu",
                        (name,),
                        "all its rows",
                        min_count=20,
                        hour="drop",
                        differs="values seen fewer than 20 times are one rare value of "
                        "their field, a guess towards the paper's 570,344 features; "
                        "the hour is left out, as the paper has 21 fields",
                    )
                    for name in ("avazu/train.csv", "avazu/train")
                ),
                Choice(
                    "sample",
                    "avazu",
                    ("avazu/CTR_data.csv",),
                    "a sample of some thousand rows",
                    hour="drop",
                ),
            ),
            "rafm-bench fetch avazu says where; put train.gz into DIR/avazu",
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
                    min_count=4,
                ),
            ),
            "",
        ),
    )
}
