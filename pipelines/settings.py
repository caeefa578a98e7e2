"""Settings of the Kedro project; Kedro reads this module by its name."""

from pipelines.arms import ArmsHooks
from pipelines.config_loader import HydraConfigLoader
from pipelines.hooks import TrackingHooks
from pipelines.preflight import PreflightHooks

CONFIG_LOADER_CLASS = HydraConfigLoader
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
HOOKS = (ArmsHooks(), TrackingHooks(), PreflightHooks())
