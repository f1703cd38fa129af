"""Table 1 of the RaFM paper: RaFM's cost in four regimes of D_k and |F_k|, m levels.

D and |F| are the same throughout; ids are drawn evenly, so n(F_k) is in proportion to
|F_k|. Where both fall slowly, cost grows with m; where one falls fast, it stays near
that of one FM; where both do, it falls with m.
"""

from .cases import BACKENDS, make_case, new_case, uniform_rows

RANK, N_FEATURES, ROW_LENGTH, N_ROWS = 512, 8_192, 64, 1_024

RANKS = {
    "linear": lambda k, m: RANK * k // m,
    "exponential": lambda k, m: RANK >> (m - k),
}
SETS = {
    "linear": lambda k, m: N_FEATURES * (m - k + 1) // m,
    "exponential": lambda k, m: max(1, N_FEATURES >> (k - 1)),
}
REGIMES = [f"{ranks} D_k, {sets} |F_k|" for ranks in RANKS for sets in SETS]
LEVELS = [1, 2, 4, 8, 16]


def regime(name, m):
    """Return D_1..D_m and |F_1|..|F_m| of a regime; None where D_1 would be below 1."""
    ranks, sets = (part.split()[0] for part in name.split(", "))
    dims = [RANKS[ranks](k, m) for k in range(1, m + 1)]
    return (dims, [SETS[sets](k, m) for k in range(1, m + 1)]) if dims[0] else None


class Regimes:
    params = [REGIMES, LEVELS, BACKENDS]
    param_names = ["regime", "m", "backend"]
    number = 1
    timeout = 300

    def setup_cache(self):
        return uniform_rows(N_ROWS, N_FEATURES, ROW_LENGTH)

    def setup(self, rows, name, m, backend):
        dims, sizes = _existing(name, m)
        self.case = make_case(rows, "rafm", dims, sizes=sizes, backend=backend)

    def time_score(self, rows, name, m, backend):
        self.case.score()

    def time_train_batch(self, rows, name, m, backend):
        self.case.train()

    def peakmem_train(self, rows, name, m, backend):
        self.case.train()


class Stored:
    """Numbers stored: sum_k D_k |F_k|, a bias and linear weights."""

    params = [REGIMES, LEVELS]
    param_names = ["regime", "m"]

    def setup(self, name, m):
        dims, sizes = _existing(name, m)
        rows = uniform_rows(2, N_FEATURES, 2)
        self.layout = new_case(rows, "rafm", dims, sizes=sizes).model.layout

    def track_parameters(self, name, m):
        return self.layout.n_parameters

    track_parameters.unit = "parameters"


def _existing(name, m):
    found = regime(name, m)
    if found is None:
        raise NotImplementedError(f"{name} with m = {m}: D_1 would be below 1")
    return found
