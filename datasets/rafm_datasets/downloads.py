"""The table of data sets that can be fetched, or that have to be fetched by hand."""

from __future__ import annotations

from dataclasses import dataclass

_GROUPLENS = "https://files.grouplens.org/datasets/movielens"
_MOVIELENS_PAGE = "https://grouplens.org/datasets/movielens/"
_MOVIELENS_LICENCE = "GroupLens: research, no redistribution without permission"
_AMAZON_LICENCE = "none stated; cite"


@dataclass(frozen=True, slots=True)
class Download:
    """One data set: where it is, what it is prepared as, and on which terms.

    `url` is None when it has to be fetched by hand: `by_hand` says how, and `member`
    names what to prepare then. `md5` says that a checksum is published beside the
    file, at the same address with .md5 behind. `{category}` stands for a word that
    the user may choose.
    """

    source: str
    page: str
    licence: str
    url: str | None = None
    md5: bool = False
    by_hand: str = ""
    member: str = ""
    category: str | None = None

    def address(self, category: str | None = None) -> str:
        """Give the address, of the chosen category where there are such."""
        return (self.url or "").format(category=category or self.category)


def _movielens(name: str, licence: str = _MOVIELENS_LICENCE) -> Download:
    url = f"{_GROUPLENS}/{name}.zip"
    return Download("movielens", _MOVIELENS_PAGE, licence, url, md5=True)


DOWNLOADS = {
    "ml-latest-small": _movielens(
        "ml-latest-small", "GroupLens: research, redistribution under the same terms"
    ),
    "ml-100k": _movielens("ml-100k"),
    "ml-1m": _movielens("ml-1m"),
    "ml-10m": _movielens("ml-10m"),
    "ml-20m": _movielens("ml-20m"),
    "ml-25m": _movielens("ml-25m"),
    "ml-32m": _movielens("ml-32m"),
    "amazon-movies": Download(
        "amazon",
        "https://snap.stanford.edu/data/web-Movies.html",
        f"{_AMAZON_LICENCE} McAuley and Leskovec 2013",
        "https://snap.stanford.edu/data/movies.txt.gz",
    ),
    "amazon-2014": Download(
        "amazon",
        "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html",
        f"{_AMAZON_LICENCE} McAuley et al. 2015, He and McAuley 2016",
        "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/"
        "ratings_{category}.csv",
        category="Movies_and_TV",
    ),
    "amazon-2018": Download(
        "amazon",
        "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/",
        f"{_AMAZON_LICENCE} Ni, Li and McAuley 2019",
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/"
        "categoryFilesSmall/{category}.csv",
        category="Movies_and_TV",
    ),
    "criteo": Download(
        "criteo",
        "https://www.kaggle.com/c/criteo-display-ad-challenge/data",
        "Criteo: non-commercial, no redistribution",
        by_hand="log in, accept the rules and download train.txt (11 GB unpacked)",
        member="train.txt",
    ),
    "criteo-1tb": Download(
        "criteo",
        "https://ailab.criteo.com/download-criteo-1tb-click-logs-dataset/",
        "CC BY-NC-SA 4.0",
        by_hand="accept the terms and download day_0.gz to day_23.gz",
        member="day_*.gz",
    ),
    "avazu": Download(
        "avazu",
        "https://www.kaggle.com/c/avazu-ctr-prediction/data",
        "rules of the Kaggle contest; no licence of the data is stated",
        by_hand="log in, accept the rules and download train.gz (5.9 GB unpacked)",
        member="train.gz",
    ),
    "frappe": Download(
        "frappe",
        "https://github.com/irecsys/CARSKit/tree/master/context-aware_data_sets",
        "research only, no redistribution; cite Baltrunas et al. 2015",
        by_hand="download Mobile_Frappe.zip and unpack frappe.csv",
        member="frappe.csv",
    ),
}
