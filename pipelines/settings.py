"""Settings of the Kedro project; Kedro reads this module by its name."""

from pipelines.config.loader import HydraConfigLoader
from pipelines.run.current import ItemsHooks
from pipelines.run.preflight import PreflightHooks
from pipelines.tracking.hooks import TrackingHooks

CONFIG_LOADER_CLASS = HydraConfigLoader
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
HOOKS = (ItemsHooks(), TrackingHooks(), PreflightHooks())
