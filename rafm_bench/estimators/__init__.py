"""Factorization machines as scikit-learn estimators."""

try:
    import sklearn  # noqa: F401 - asked for here, so that its absence is one sentence
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the estimators of rafm_bench need scikit-learn; install rafm-bench[sklearn]",
        name=error.name,
    ) from error

from rafm_bench.estimators.machines import FMClassifier as FMClassifier
from rafm_bench.estimators.machines import FMRegressor as FMRegressor
from rafm_bench.estimators.machines import RaFMClassifier as RaFMClassifier
from rafm_bench.estimators.machines import RaFMRegressor as RaFMRegressor
