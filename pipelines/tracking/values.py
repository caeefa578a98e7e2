"""Parameters and numbers as MLflow takes them."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

_MAX_METRICS = 1000  # of one call, MLflow's limit
_MAX_PARAMS = 100  # of one call, MLflow's limit
_MAX_PARAM_CHARS = 6000  # MLflow's limit


def log_params(client: MlflowClient, run_id: str, flat: Mapping[str, str]) -> None:
    """Logs parameters to a run, in as many calls as needed.

    Long texts are cut to MLflow's limit; params.yaml has them in full.
    """
    params = [Param(name, value[:_MAX_PARAM_CHARS]) for name, value in flat.items()]
    for start in range(0, len(params), _MAX_PARAMS):
        client.log_batch(run_id, params=params[start : start + _MAX_PARAMS])


def metrics_of(numbers: Mapping[str, float], step: int = 0) -> list[Metric]:
    """Returns a metric for each finite number: MLflow keeps NaN and infinity, but no chart shows them."""
    now = int(time.time() * 1000)
    return [Metric(k, float(v), now, step) for k, v in numbers.items() if math.isfinite(v)]


def in_calls(metrics: Sequence[Metric]) -> Iterator[Sequence[Metric]]:
    """Yields them in as many parts as MLflow wants calls."""
    for start in range(0, len(metrics), _MAX_METRICS):
        yield metrics[start : start + _MAX_METRICS]
