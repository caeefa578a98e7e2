"""What a run records in MLflow."""
