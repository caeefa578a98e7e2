"""JSON files; a damaged file is one kind of error."""

import json
from pathlib import Path
from typing import Any

from stablerep.errors import DataError


def read_json(path: Path) -> Any:
    """Returns what a JSON file in UTF-8 contains.

    Raises:
        DataError: the file is damaged, or of another format.
        OSError: the file is missing, or its file system failed.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise DataError(f"{path.name}: its brackets are too deep") from error
    except ValueError as error:  # also of bytes that are not UTF-8
        raise DataError(f"{path.name}: {error}") from error
