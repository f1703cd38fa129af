"""All models at the same largest rank, 32: a pass of training, of scoring.

FFM is the exception: its rank is one for each field, 4 for each of 39, so that a
feature stores 156 numbers where an FM's stores 32.
"""

from .cases import BACKENDS, make_case, new_case, zipf_rows

MODELS = {
    "lr": ("lr", ()),
    "fm 32": ("fm", (32,)),
    "rafm 8,32": ("rafm", (8, 32)),
    "difacto 8,32": ("difacto", (8, 32)),
    "ffm 4 a field": ("ffm", (4,)),
    "fm 32, ratings": ("fm", (32,)),
    "mrma 8,32, ratings": ("mrma", (8, 32)),
}
OPTIMIZERS = ["sgd", "adagrad", "adagrad-row", "adam", "adam-dense", "ftrl"]
N_ROWS = 8_192


class _Models:
    number = 1
    timeout = 300

    def setup_cache(self):
        ratings = zipf_rows(N_ROWS * 8, n_features=20_000, n_fields=2)
        return zipf_rows(N_ROWS), ratings


class Train(_Models):
    """Batches of 256 rows: 8,192 clicks of 39 fields, 65,536 ratings."""

    params = [list(MODELS), OPTIMIZERS, BACKENDS]
    param_names = ["model", "optimizer", "backend"]

    def setup(self, rows, key, optimizer, backend):
        self.case = _case(rows, key, backend, optimizer=optimizer)

    def time_batches_of_256(self, rows, key, optimizer, backend):
        self.case.train()


class RowByRow(_Models):
    """Batches of one row: the fused loop of one thread."""

    params = [list(MODELS), ["sgd", "adagrad", "adagrad-row"]]
    param_names = ["model", "optimizer"]

    def setup(self, rows, key, optimizer):
        self.case = _case(rows, key, "numba", optimizer=optimizer, batch_size=1)

    def time_train(self, rows, key, optimizer):
        self.case.train()


class Score(_Models):
    params = [list(MODELS), BACKENDS]
    param_names = ["model", "backend"]

    def setup(self, rows, key, backend):
        self.case = _case(rows, key, backend)

    def time_score(self, rows, key, backend):
        self.case.score()

    def peakmem_train(self, rows, key, backend):
        self.case.train()


class Reference:
    """The backend `numpy`, which tests compare all others with: 512 clicks."""

    params = [["fm 32", "rafm 8,32", "ffm 4 a field"]]
    param_names = ["model"]
    number = 1

    def setup_cache(self):
        return zipf_rows(512), None

    def setup(self, rows, key):
        self.case = _case(rows, key, "numpy")

    def time_batches_of_256(self, rows, key):
        self.case.train()

    def time_score(self, rows, key):
        self.case.score()


class Stored(_Models):
    """What training keeps: parameters, and what the optimizer adds to them."""

    params = [list(MODELS), OPTIMIZERS]
    param_names = ["model", "optimizer"]

    def track_bytes_of_state(self, rows, key, optimizer):
        return _new(new_case, rows, key, optimizer=optimizer).state_bytes()

    track_bytes_of_state.unit = "bytes"


def _case(rows, key, backend, **choices):
    return _new(make_case, rows, key, backend=backend, **choices)


def _new(make, rows, key, **choices):
    name, dims = MODELS[key]
    chosen = rows[1] if key.endswith("ratings") else rows[0]
    return make(chosen, name, dims, **choices)
