"""Data and cells of the experiments: found, changed, cut, prepared before, failing."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import pytest

from rafm_bench import tune
from rafm_bench.errors import Diverged, Interrupted, UserError
from rafm_bench.progress import Silent
from rafm_bench.reproduce import gather, work
from rafm_bench.reproduce import reproduce as whole
from rafm_bench.reproduce.block import Block
from rafm_bench.reproduce.budget import Budget
from rafm_bench.reproduce.cells import EXPERIMENTS, TABLES
from rafm_bench.reproduce.document import TITLES
from rafm_bench.reproduce.gather import find, lay_out, prepare_set
from rafm_bench.reproduce.regimes import BOUNDS, LEVELS
from rafm_bench.reproduce.reproduce import Plan, reproduce
from rafm_bench.reproduce.sets import SETS
from rafm_bench.reproduce.work import Place
from rafm_bench.train import train
from rafm_datasets import (
    DOWNLOADS,
    DataError,
    PrepareOptions,
    generate,
    open_prepared,
    prepare,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rafm_bench.config import TrainConfig
    from rafm_bench.reproduce.sets import Protocol
    from rafm_bench.run import Run

HEADER = "userId,movieId,rating,timestamp"


def budget(name: str = "small", **changed: Any) -> Budget:
    """Make a budget of one epoch and two seeds, without a search of ratings."""
    return Budget(
        **{
            "name": name,
            "seeds": (1, 2),
            "epochs": {"clean": 1, "clean-ratings": 1, "paper": 1, "sparse": 1},
            "grids": {
                "clean": {"learning_rate": (0.1,), "l2": (1e-5,)},
                "clean-ratings": {"learning_rate": (0.03,)},
                "paper": {"l2": (1e-6,)},
                "sparse": {"learning_rate": (0.1,)},
            },
            "l1": (0.0,),
        }
        | changed
    )


def plan(
    root: Path,
    out: Path,
    asked: Budget,
    *experiments: str,
    protocols: tuple[Protocol, ...] = ("clean",),
    threads: int = 1,
) -> Plan:
    return Plan(experiments, protocols, root, Place(out, asked, threads))


def text_of(page: Path) -> str:
    return page.with_suffix(".md").read_text(encoding="utf-8")


@pytest.fixture
def few_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave two models of table 3, and one data set."""
    models = {"ml-latest-small": ("fm-32", "rafm-8-32")}
    monkeypatch.setitem(TABLES, "table3", models)


@pytest.mark.usefixtures("few_models")
def test_a_full_budget_after_a_small_one_trains_on_all_rows(
    raw_ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "MOST_LINES", 401)
    out = tmp_path / "report"
    small = plan(raw_ratings, out, budget("small"), "table3")
    assert "the first 401 lines alone" in text_of(reproduce(small, Silent()))
    full = plan(raw_ratings, out, budget("full"), "table3")
    text = text_of(reproduce(full, Silent()))
    assert "lines alone" not in text
    prepared = open_prepared(out / "work/data/ml-latest-small.full.counts-train")
    assert sum(prepared.rows(split) for split in prepared.splits) == 600
    fingerprints = [row["data_fingerprint"] for row in full.place.all_rows()]
    assert len(fingerprints) == 8
    assert len(set(fingerprints)) == 2
    assert {row["data_fingerprint"] for row in full.place.rows()} == {fingerprints[-1]}
    assert len(full.place.rows()) == 4


@pytest.mark.usefixtures("few_models")
def test_a_run_of_another_budget_with_the_same_options_is_taken_over(
    raw_ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report"
    small = plan(raw_ratings, out, budget("small"), "table3")
    reproduce(small, Silent())
    monkeypatch.setattr(work, "train", None)
    full = plan(raw_ratings, out, budget("full"), "table3")
    text = text_of(reproduce(full, Silent()))
    assert len(full.place.rows()) == len(small.place.rows()) == 4
    assert "no run came to an end" not in text


@pytest.mark.usefixtures("few_models")
def test_raw_files_that_changed_are_prepared_and_trained_anew(
    raw_ratings: Path, tmp_path: Path
) -> None:
    asked = plan(raw_ratings, tmp_path / "report", budget(), "table3")
    reproduce(asked, Silent())
    before = asked.place.rows()
    packed = raw_ratings / "ml-latest-small" / "ratings.csv.gz"
    lines = [f"{n % 40 + 1},{n % 60 + 1},3,1141391873" for n in range(300)]
    better = packed.with_name("ratings.csv")  # which comes before a packed one
    better.write_text("\n".join([HEADER, *lines]) + "\n", encoding="ascii")
    text = text_of(reproduce(asked, Silent()))
    rows = asked.place.rows()
    assert len(rows) == len(before)
    assert {row["data_fingerprint"] for row in rows}.isdisjoint(
        row["data_fingerprint"] for row in before
    )
    assert len(asked.place.all_rows()) == 2 * len(rows)
    assert rows[0]["data_fingerprint"][:16] in text
    assert before[0]["data_fingerprint"][:16] not in text


@pytest.mark.usefixtures("few_models")
def test_more_threads_train_nothing_again(
    raw_ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report"
    searched = budget(grids={"clean-ratings": {"learning_rate": (0.03, 0.06)}})
    reproduce(plan(raw_ratings, out, searched, "table3"), Silent())
    before = (out / "results.parquet").read_bytes()
    monkeypatch.setattr(work, "train", None)
    monkeypatch.setattr(work, "tune", None)
    more = plan(raw_ratings, out, searched, "table3", threads=2)
    reproduce(more, Silent())
    assert (out / "results.parquet").read_bytes() == before


@pytest.mark.usefixtures("few_models")
def test_a_search_scores_no_test_rows_and_keeps_no_model(
    raw_ratings: Path, tmp_path: Path
) -> None:
    searched = budget(grids={"clean-ratings": {"learning_rate": (0.03, 0.06)}})
    asked = plan(raw_ratings, tmp_path / "report", searched, "table3")
    reproduce(asked, Silent())
    stores = list((asked.place.out / "work" / "search").rglob("trials.parquet"))
    assert len(stores) == 2
    for store in stores:
        assert not [name for name in pl.read_parquet(store).columns if "test_" in name]
    assert not list((asked.place.out / "work").rglob("*.safetensors"))


@pytest.mark.usefixtures("few_models")
@pytest.mark.parametrize("rates", [(0.03, 0.06), (0.03,)], ids=["search", "run"])
@pytest.mark.parametrize("error", [Diverged("it grew"), UserError("it is too large")])
def test_a_cell_that_comes_to_nothing_is_told_and_the_others_are_run(
    error: Exception,
    rates: tuple[float, ...],
    raw_ratings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def trained(config: TrainConfig, *arguments: Any, **named: Any) -> Run:
        if config.model == "fm":
            raise error
        return train(config, *arguments, **named)

    asked = plan(
        raw_ratings,
        tmp_path / "report",
        budget(grids={"clean-ratings": {"learning_rate": rates}}),
        "table3",
    )
    with monkeypatch.context() as patch:
        patch.setattr(tune, "train", trained)
        patch.setattr(work, "train", trained)
        for _ in range(2):
            text = text_of(reproduce(asked, Silent()))
            assert f"FM 32, clean: {'all 2 trials came' * (len(rates) > 1)}" in text
            assert str(error) in text
            assert {r["model"] for r in asked.place.rows() if r["error"]} == {"fm"}
    done = [row["model"] for row in asked.place.rows() if row["status"] == "done"]
    assert done == ["rafm", "rafm"]
    text = text_of(reproduce(asked, Silent()))
    is_mended = isinstance(error, UserError)
    assert (str(error) not in text) == is_mended


@pytest.mark.usefixtures("few_models")
def test_every_experiment_that_has_ended_is_in_the_report(
    raw_ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise KeyboardInterrupt

    asked = plan(raw_ratings, tmp_path / "report", budget(), "table3", "table1")
    monkeypatch.setattr(whole, "measure_regimes", lost)
    with pytest.raises(Interrupted):
        reproduce(asked, Silent())
    text = text_of(asked.place.out / "report.html")
    assert TITLES["table3"] in text
    assert TITLES["table1"] not in text


def zipped(archive: Path, files: dict[str, str]) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as file:
        for name, text in files.items():
            file.writestr(name, text)


RATINGS = "\n".join(f"{n % 7}::{n % 11}::4::1141391873" for n in range(60)) + "\n"
TAGS = (
    "\n".join(f"{n % 7}::{n % 11}::tag {n % 5}::1141391873" for n in range(60)) + "\n"
)
CSV = HEADER + "\n" + RATINGS.replace("::", ",")
FETCHED = {
    "ml-10m": ("ml-10m", {"ml-10M100K/ratings.dat": RATINGS}),
    "ml-20m": ("ml-20m", {"ml-20m/ratings.csv": CSV, "ml-20m/tags.csv": ""}),
    "ml-1m": ("ml-1m", {"ml-1m/ratings.dat": RATINGS}),
    "ml-latest-small": ("ml-latest-small", {"ml-latest-small/ratings.csv": CSV}),
    "ml-tag": ("ml-10m", {"ml-10M100K/tags.dat": TAGS}),
}


@pytest.mark.parametrize("place", ["folder", "root", "unpacked", "unpacked in root"])
@pytest.mark.parametrize("name", FETCHED)
def test_what_fetch_downloads_is_found_and_read(
    name: str, place: str, tmp_path: Path
) -> None:
    archive, files = FETCHED[name]
    root = tmp_path / "raw"
    out = root / archive if place in ("folder", "unpacked") else root
    file = out / DOWNLOADS[archive].address().rsplit("/", 1)[-1]
    zipped(file, files)
    if place.startswith("unpacked"):
        with zipfile.ZipFile(file) as packed:
            packed.extractall(out)
        file.unlink()
    found = find(SETS[name], root)
    assert found is not None
    data = prepare_set(found, "clean", tmp_path / "work", "full", Silent())
    n_rows = sum(data.rows(split) for split in data.splits)
    assert n_rows == (3 * 60 if name == "ml-tag" else 60)


@pytest.mark.parametrize("place", ["amazon/", ""])
def test_amazon_ratings_are_found_as_fetched(place: str, tmp_path: Path) -> None:
    names = {
        "amazon-movies": DOWNLOADS["amazon-movies"].address(),
        "amazon-instruments": DOWNLOADS["amazon-2014"].address("Musical_Instruments"),
    }
    for name, address in names.items():
        file = tmp_path / f"{place}{address.rsplit('/', 1)[-1]}"
        file.parent.mkdir(exist_ok=True)
        file.touch()
        found = find(SETS[name], tmp_path)
        assert found is not None
        assert found.raw == (str(file),)
        assert found.choice.kind == "stand-in"


@pytest.mark.parametrize("name", ["train.gz", "train.csv", "train.csv.gz"])
def test_avazu_is_found_as_kaggle_gives_it_and_has_the_papers_fields(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "avazu" / name
    file.parent.mkdir()
    generate("avazu", 400, 0, str(file))
    found = find(SETS["avazu"], tmp_path)
    assert found is not None
    assert found.choice.kind == "papers"
    data = prepare_set(found, "paper", tmp_path / "work", "full", Silent())
    assert len(data.fields) == 21


def test_frappe_of_the_nfm_repository_is_read_with_its_labels(tmp_path: Path) -> None:
    folder = tmp_path / "frappe"
    folder.mkdir()
    for number, split in enumerate(("train", "validation", "test")):
        lines = (
            f"{(-1) ** n} {n % 5}:1 {5 + n % 7}:1" for n in range(60 - 20 * number)
        )
        text = "\n".join(lines) + "\n"
        (folder / f"frappe.{split}.libfm").write_text(text, encoding="ascii")
    found = find(SETS["frappe"], tmp_path)
    assert found is not None
    data = prepare_set(found, "paper", tmp_path / "work", "small", Silent())
    assert data.task == "classification"
    assert data.manifest.splits["train"].positives == 30


@pytest.mark.parametrize("packing", ["zip", "plain"])
def test_the_first_lines_of_the_papers_data_are_a_part_of_them(
    packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "MOST_LINES", 20)
    if packing == "zip":
        zipped(tmp_path / "ml-10m.zip", FETCHED["ml-10m"][1])
    else:
        (tmp_path / "ml-10m").mkdir()
        (tmp_path / "ml-10m" / "ratings.dat").write_text(RATINGS, encoding="ascii")
    found = find(SETS["ml-10m"], tmp_path)
    assert found is not None
    work_folder = tmp_path / "work"
    for _ in range(2):
        cut = lay_out(found, work_folder, "small", Silent())
        assert (cut.choice.kind, found.choice.kind) == ("part", "papers")
        assert Block("table3", cut, {}, "").where("clean") == "ML-10M (part), clean"
        data = prepare_set(cut, "clean", work_folder, "small", Silent())
        assert sum(data.rows(split) for split in data.splits) == 20
    assert lay_out(found, work_folder, "full", Silent()) is found
    monkeypatch.setattr(gather, "MOST_LINES", 60)
    assert lay_out(found, work_folder, "small", Silent()) is found


def prepared_before(raw: Path, out: Path, counts: Literal["all", "train"]) -> None:
    given = str(raw / "ml-latest-small" / "ratings.csv.gz")
    prepare(PrepareOptions("movielens", (given,), str(out), count_splits=counts))


@pytest.mark.usefixtures("few_models")
def test_prepared_data_are_used_under_the_protocol_that_they_suit(
    raw_ratings: Path, tmp_path: Path
) -> None:
    root = tmp_path / "prepared"
    prepared_before(raw_ratings, root / "ml-latest-small", "train")
    asked = plan(
        root, tmp_path / "one", budget(), "table3", protocols=("clean", "paper")
    )
    text = text_of(reproduce(asked, Silent()))
    assert {row["protocol"] for row in asked.place.rows()} == {"clean"}
    assert "the paper protocol was left out" in text
    assert "--count-splits all" in text
    assert "its ratings; prepared before" in text
    prepared_before(raw_ratings, root / "ml-latest-small" / "of-all", "all")
    both = plan(
        root, tmp_path / "both", budget(), "table3", protocols=("clean", "paper")
    )
    assert "was left out" not in text_of(reproduce(both, Silent()))
    assert {row["protocol"] for row in both.place.rows()} == {"clean", "paper"}
    assert not (both.place.out / "work" / "data").exists()


def test_figure_4_says_why_prepared_data_do_not_suit_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "FIG4_SETS", ("frappe",))
    root = tmp_path / "raw"
    write_all_raw(root)
    raw = root / "frappe" / "frappe.csv"
    options = PrepareOptions(
        "frappe", (str(raw),), str(root / "frappe" / "all"), count_splits="all"
    )
    prepare(options)
    raw.unlink()
    asked = plan(root, tmp_path / "report", budget(), "fig4", protocols=("paper",))
    text = text_of(reproduce(asked, Silent()))
    assert "The sparse protocol was left out" in text
    assert not asked.place.rows()


def test_a_damaged_archive_is_told_before_any_run(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    write_all_raw(root)
    (root / "ml-20m.zip").write_bytes(b"PK")
    asked = plan(root, tmp_path / "report", budget(), "table3")
    with pytest.raises(DataError, match="damaged or cut short"):
        reproduce(asked, Silent())
    assert not asked.place.rows()


def test_prepared_data_of_unknown_files_stand_in(
    raw_ratings: Path, tmp_path: Path
) -> None:
    prepared_before(raw_ratings, tmp_path / "ml-10m", "train")
    found = find(SETS["ml-10m"], tmp_path)
    assert found is not None
    assert found.choice.kind == "stand-in"
    assert "not known here, ratings.csv" in found.told


def test_prepared_data_without_test_rows_are_refused(
    raw_ratings: Path, tmp_path: Path
) -> None:
    given = str(raw_ratings / "ml-latest-small" / "ratings.csv.gz")
    out = str(tmp_path / "ml-10m")
    prepare(PrepareOptions("movielens", (given,), out, fractions=(0.9, 0.1, 0.0)))
    with pytest.raises(DataError, match="has no rows in test"):
        find(SETS["ml-10m"], tmp_path)


def write_all_raw(root: Path) -> None:
    """Write a tiny file of every data set, in the layouts of the real ones."""
    for name, file in (("criteo", "train.txt"), ("avazu", "train.gz")):
        (root / name).mkdir(parents=True)
        generate(name, 300, 0, str(root / name / file))
    for name in ("ml-10m", "ml-20m", "ml-1m", "ml-latest-small"):
        _, files = FETCHED[name]
        zipped(root / f"{name}.zip", files)
    zipped(root / "ml-10m.zip", FETCHED["ml-10m"][1] | FETCHED["ml-tag"][1])
    block = "product/productId: B00000000{}\nreview/userId: A{}\nreview/score: 4.0\n"
    block += "review/time: 1141391873\n"
    blocks = "\n".join(block.format(n % 10, n % 7) for n in range(60))
    (root / "movies.txt").write_text(blocks, encoding="ascii")
    lines = [f"A{n % 7},B00000000{n % 10},4.0,1141391873" for n in range(60)]
    (root / "ratings_Musical_Instruments.csv").write_text("\n".join(lines) + "\n")
    head = "user item cnt daytime weekday isweekend homework cost weather country city"
    rows = [f"{n % 9} {n % 13} 1 a b c d e f g {n % 3}" for n in range(90)]
    (root / "frappe").mkdir()
    text = "\n".join([head, *rows]).replace(" ", "\t") + "\n"
    (root / "frappe" / "frappe.csv").write_text(text, encoding="ascii")


def test_all_experiments_run_on_tiny_files_of_every_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "PLANTED_ROWS", {"small": 300})
    # To collect the garbage of all tests before each run would be most of the time.
    monkeypatch.setattr("rafm_bench.memory_plan.give_back_memory", lambda: None)
    root, out = tmp_path / "raw", tmp_path / "report"
    write_all_raw(root)
    cases = [(*regime, m) for regime in BOUNDS for m in LEVELS]
    names = ("ranks", "sets", "m", "theory", "train", "score")
    timed = [dict(zip(names, (*case, 1.0, 1.0, 1.0), strict=True)) for case in cases]
    (out / "work").mkdir(parents=True)
    (out / whole.REGIMES).write_text(json.dumps(timed), encoding="ascii")
    asked = plan(root, out, budget(), *EXPERIMENTS, protocols=("clean", "paper"))
    text = text_of(reproduce(asked, Silent()))
    for experiment, sets in asked.names.items():
        _, _, rest = text.partition(f"## {TITLES[experiment]}\n")
        part, _, _ = rest.partition("\n## ")
        assert part
        for name in sets:
            assert SETS[name].title in part
        n_verdicts = part.count("reproduced |") + part.count("not testable here |")
        assert (n_verdicts >= max(1, len(sets))) == (experiment != "fig1")
    assert "no run came to an end" not in text
    assert {row["status"] for row in asked.place.rows()} == {"done"}
    assert not [one for one in asked.found().values() if one is None]
