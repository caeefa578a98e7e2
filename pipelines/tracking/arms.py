"""What becomes of an arm in MLflow: a nested run, opened with its first row and followed while it is trained.

With several seeds, an arm's run has the figures over all seeds, and a nested run for each seed.

Rows are sent by MLflow's own thread, so that a slow store holds up no step.
"""

import logging
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.async_logging.run_operations import RunOperations

from pipelines.config.arm_plan import training_of
from pipelines.config.generator import generator_of
from pipelines.run.items import image_set_of
from pipelines.tracking.captions import captions_of, captions_tags, log_captions
from pipelines.tracking.values import in_calls, log_params, metrics_of
from stablerep.reporting.parameters import flatten

if TYPE_CHECKING:
    from kedro.io import DataCatalog

    from stablerep.training.arms import TrainedArm

logger = logging.getLogger(__name__)

_Key = tuple[str, int]  # an arm and its seed

_MODEL_NEEDS = ("torch", "torchvision", "timm", "safetensors", "numpy")
# of the parent's tags, what a nested run shares: who and what started it, and where
_SHARED_TAGS = (
    "mlflow.user",
    "mlflow.source.name",
    "mlflow.source.type",
    "mlflow.source.git.commit",
    "place",
)


class TrackedArms:
    """The nested runs of a parent run's arms.

    Args:
        parent: the run.
        parameters: as composed.
        catalog: to find the captions behind the arms.
    """

    def __init__(self, parent: Run, parameters: dict[str, Any], catalog: "DataCatalog") -> None:
        """Opens none yet."""
        self._parameters, self._catalog = parameters, catalog
        self._client = mlflow.MlflowClient()
        # read again: what was started has not the tags that were set since
        self._parent = self._client.get_run(parent.info.run_id)
        self._run_of_arm: dict[_Key, str] = {}
        self._run_over_seeds: dict[str, str] = {}
        self._ended: set[_Key] = set()
        self._sent: defaultdict[_Key, dict[int, list[RunOperations]]] = defaultdict(dict)
        self._unanswered: set[_Key] = set()
        self._tags_of_images: dict[str, dict[str, str]] = {}

    def run_of(self, arm: str, seed: int) -> str | None:
        """Returns the id of an arm's run with a seed, None where it was not trained in this one."""
        return self._run_of_arm.get((arm, seed))

    def run_over_seeds(self, arm: str) -> str | None:
        """Returns the id of the run above those of an arm's seeds; None where there is none."""
        return self._run_over_seeds.get(arm)

    def follow(self, arm: str, seed: int, row: Mapping[str, float]) -> None:
        """Sends a row of an arm's history; where the store does not answer, the training goes on without."""
        key = arm, seed
        if key in self._unanswered:
            return
        try:
            run_id = self._open(key)
            self._sent[key][int(row["step"])] = [
                self._client.log_batch(run_id, metrics=part, synchronous=False)
                for part in in_calls(_row_metrics(row))
            ]
        except (MlflowException, OSError) as error:
            self._unanswered.add(key)
            logger.warning("%s: MLflow has its metrics at its end, not before: %s", arm, error)

    def log(self, arm: "TrainedArm") -> None:
        """Logs a trained arm: rows that did not arrive, as a checkpoint's, and its model."""
        key = arm.name, arm.seed
        with mlflow.start_run(run_id=self._open(key), nested=True):
            self._send_rest(arm)
            self._log_model(arm)
        self._ended.add(key)

    def end(self, status: str) -> None:
        """Ends the runs of arms that were not trained to their end."""
        mlflow.flush_async_logging()
        for arm in self._run_of_arm.keys() - self._ended:
            self._client.set_terminated(self._run_of_arm[arm], status)
            self._ended.add(arm)
        for run_id in self._run_over_seeds.values():
            self._client.set_terminated(run_id, status)

    def _open(self, key: _Key) -> str:
        """Returns the id of an arm's run, which is made where there is none."""
        if key in self._run_of_arm:
            return self._run_of_arm[key]
        arm, seed = key
        captions = self._captions_tags(self._parameters["arms"][arm]["images"])
        if len(self._parameters["seeds"]) == 1:
            run_id = self._create(arm, self._parent.info.run_id, captions)
        else:
            run_id = self._create(f"{arm} seed {seed}", self._open_over_seeds(arm), captions)
        self._run_of_arm[key] = run_id
        log_params(self._client, run_id, flatten({"arm": arm, "seed": seed}) | self._params_of(arm))
        return run_id

    def _open_over_seeds(self, arm: str) -> str:
        """Returns the id of the run above those of an arm's seeds, which is made where there is none."""
        if arm not in self._run_over_seeds:
            run_id = self._create(arm, self._parent.info.run_id, {"arm": arm})
            self._run_over_seeds[arm] = run_id
            log_params(self._client, run_id, self._params_of(arm))
        return self._run_over_seeds[arm]

    def _create(self, name: str, parent: str, tags: Mapping[str, str]) -> str:
        known = self._parent.data.tags
        shared = {tag: known[tag] for tag in _SHARED_TAGS if tag in known}
        tags = {**shared, "mlflow.parentRunId": parent, **tags}
        run = self._client.create_run(self._parent.info.experiment_id, run_name=name, tags=tags)
        return str(run.info.run_id)

    def _params_of(self, arm: str) -> dict[str, str]:
        described = self._parameters["arms"][arm]
        method, images = described["method"], described["images"]
        image_set = self._parameters["image_sets"][images]
        drawn = {}
        if image_set["source"] == "generated":
            generator = generator_of(images, self._parameters["generator"], image_set)
            drawn = {"guidance_scale": generator.guidance_scale}
        return flatten(
            {
                **{"method": method, "images": images},
                **drawn,
                "source": image_set["source"],
                "method_settings": self._parameters["method"][method],
                "encoder": self._parameters["encoder"]["backbone"],
                "training": training_of(arm, described, self._parameters["training"]).model_dump(),
            }
        )

    def _captions_tags(self, images: str) -> dict[str, str]:
        """Returns the tags of a set's captions; with its first arm they are logged to the parent run."""
        if images not in self._tags_of_images:
            captions = captions_of(self._catalog.load(image_set_of(images)))
            log_captions(captions, images, self._parent.info.run_id)
            self._tags_of_images[images] = captions_tags(captions)
        return self._tags_of_images[images]

    def _send_rest(self, arm: "TrainedArm") -> None:
        sent_rows = self._sent.pop((arm.name, arm.seed), {})
        arrived = [step for step, sent in sent_rows.items() if _have_arrived(sent)]
        rest = arm.history[~arm.history["step"].isin(arrived)].select_dtypes("number")
        rows: list[dict[str, float]] = [dict(row) for _, row in rest.astype(float).iterrows()]
        for part in in_calls([metric for row in rows for metric in _row_metrics(row)]):
            self._client.log_batch(self._run_of_arm[arm.name, arm.seed], metrics=part)

    def _log_model(self, arm: "TrainedArm") -> None:
        """Logs the encoder and registers it: a name an experiment, an alias an arm for its newest version."""
        import numpy as np
        import torch
        from mlflow.models import infer_signature
        from mlflow.pyfunc import log_model
        from mlflow.utils.logging_utils import disable_logging

        from pipelines.datasets import save_arm
        from stablerep.models.encoders import build_encoder

        encoder = build_encoder(arm.encoder_config)
        encoder.load_state_dict(arm.weights)
        example = torch.zeros(1, 3, encoder.size_px, encoder.size_px)
        with torch.inference_mode():
            features = encoder.eval()(example)
        name = registered_name(self._parameters["experiment_name"])
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder, "encoder")
            save_arm(files, arm)
            # it prints, not to a logger, that the encoder is one more version of a model; imports undo this
            disable_logging()
            logged = log_model(
                name="encoder",
                # by its name: mlflow/ must hold no Python file, and a model given as code is copied there
                loader_module="stablerep.models.pyfunc",
                data_path=str(files),
                input_example=example.numpy().astype(np.float32),
                signature=infer_signature(example.numpy(), features.numpy()),
                # named, or MLflow loads the model in another process to find them out
                pip_requirements=[f"{each}=={version(each)}" for each in _MODEL_NEEDS],
                registered_model_name=name,
            )
        number = str(logged.registered_model_version)
        self._client.set_registered_model_alias(name, f"arm-{arm.name}-seed-{arm.seed}", number)
        self._client.set_model_version_tag(name, number, "arm", arm.name)
        self._client.set_model_version_tag(name, number, "seed", str(arm.seed))


def registered_name(experiment_name: str) -> str:
    """Returns the name under which an experiment's encoders are registered: MLflow takes no / and no :."""
    return f"stablerep-{experiment_name.replace('/', '-').replace(':', '-')}"


def _row_metrics(row: Mapping[str, float]) -> list[Metric]:
    return metrics_of({name: value for name, value in row.items() if name != "step"}, int(row["step"]))


def _have_arrived(sent: list[RunOperations]) -> bool:
    try:
        for operations in sent:
            operations.wait()
    except MlflowException as error:
        logger.warning("metrics did not arrive in MLflow and are sent again: %s", error)
        return False
    return True
