"""DVC's stages: dvc.yaml, written from the Kedro pipelines and the catalog."""
