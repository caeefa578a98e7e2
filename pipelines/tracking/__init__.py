"""What a run records in MLflow.

MLflow reads these settings when it is imported; every module that imports it stands in this package.
"""

import os

# it would report usage otherwise
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# a bar for each arm's few files
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# conf/logging.yml says what is logged; MLflow's own configuration would log each step at INFO
os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
