"""One pass of training and of scoring over rows in memory, per model and backend."""

from rafm_kernels import (
    Optimizer,
    init_parameters,
    init_state,
    load_backend,
    make_model,
)

from .clicks import click_rows

MODELS = {
    "lr": ("lr", ()),
    "fm 8": ("fm", (8,)),
    "fm 32": ("fm", (32,)),
    "fm 128": ("fm", (128,)),
    "rafm 8,32": ("rafm", (8, 32)),
    "rafm 8,32,128": ("rafm", (8, 32, 128)),
}
N_ROWS = 100_000
BATCH_SIZE = 1024


class Kernels:
    params = [list(MODELS), ["numba", "numba-parallel"]]
    param_names = ["model", "backend"]
    # Training changes the weights: one pass a sample, on a state made anew.
    number = 1
    repeat = 5
    timeout = 300

    def setup(self, key, backend):
        name, dims = MODELS[key]
        self.backend = load_backend(backend)
        self.n_threads = 2 if backend == "numba-parallel" else 1
        self.batch, counts = click_rows(N_ROWS)
        self.model = make_model(name, counts, dims, loss="log")
        self.optimizer = Optimizer("adagrad", 0.05)
        parameters = init_parameters(self.model, 0)
        self.state = init_state(self.model, self.optimizer, parameters)
        warm, _ = click_rows(8)
        self._train(warm)
        self._score(warm)

    def _train(self, batch):
        return self.backend.train(
            self.model, self.state, self.optimizer, batch, BATCH_SIZE, self.n_threads
        )

    def _score(self, batch):
        parameters = self.state.parameters
        return self.backend.scores(self.model, parameters, batch, self.n_threads)

    def time_train(self, key, backend):
        self._train(self.batch)

    def time_score(self, key, backend):
        self._score(self.batch)
