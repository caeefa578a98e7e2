"""What DVC is told: dvc.yaml, written from the Kedro pipelines and the catalog."""
