"""The command `stablerep`: finds the project around the current folder and hands over to it.

The command itself stands in `pipelines/commands/stablerep.py`, because it reads the project's catalog and its
tracked runs, and only a checkout has these. This module is what an installation puts on the path, beside
the package and not in it, because the library knows nothing of the project.
"""

import os
import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Runs the command of the project that holds the current folder, or says where it belongs."""
    here = Path.cwd()
    project = find_project(here)
    if project is None:
        print(
            f"ConfigError: stablerep: got the folder {here}, in no project; must be typed in the project's "
            "folder, the one with its pyproject.toml and dvc.yaml, or below it. Change to it first.",
            file=sys.stderr,
        )
        sys.exit(1)
    sys.path.insert(0, str(project))
    # Kedro looks for it in the current folder, and says on standard output that it found none
    os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(project / "conf" / "logging.yml"))
    from pipelines.commands.stablerep import stablerep

    stablerep(prog_name="stablerep")


def find_project(folder: Path) -> Path | None:
    """Returns the nearest folder, from `folder` upward, that holds this project; None where none does."""
    for each in (folder, *folder.parents):
        try:
            settings = tomllib.loads((each / "pyproject.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if settings.get("project", {}).get("name") == "stablerep" and (each / "pipelines").is_dir():
            return each
    return None


if __name__ == "__main__":
    main()
