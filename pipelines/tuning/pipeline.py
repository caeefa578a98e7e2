"""Captions and a generator in, accuracy over the guidance scale out."""

from kedro.pipeline import Pipeline, node

from pipelines.tuning.nodes import tune_guidance


def create_pipeline() -> Pipeline:
    """Returns the graph of the room."""
    return Pipeline(
        [
            node(
                tune_guidance,
                [
                    "caption_set",
                    "takedowns",
                    "generator_folder",
                    "study_folder",
                    "params:study",
                    "params:generation",
                    "params:execution",
                    "params:batch",
                    "params:model",
                    "params:methods",
                    "params:optimisation",
                    "params:scenes",
                    "params:probe",
                    "params:seed",
                ],
                ["guidance_trials", "guidance_curve"],
                name="tune_guidance",
            )
        ]
    )
