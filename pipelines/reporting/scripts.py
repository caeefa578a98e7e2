"""What the scripts share that write a page from what a run kept."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from stablerep.errors import StableRepError


def run_script(
    module: str, write: Callable[..., None], defaults: dict[str, str], arguments: Sequence[str]
) -> int:
    """Calls a script's function with the paths of the command line.

    Args:
        module: of the script, for its usage.
        write: takes as many paths as there are defaults; the last one is the page that it writes.
        defaults: name of an argument -> the path that it has where no argument is given.
        arguments: of the command line; all of them or none.

    Returns:
        The exit status.
    """
    if len(arguments) not in (0, len(defaults)):
        print(f"usage: python -m {module} [{' '.join(defaults)}]", file=sys.stderr)
        return 2
    paths = [Path(each) for each in arguments or defaults.values()]
    try:
        write(*paths)
    except StableRepError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"wrote {paths[-1]}")
    return 0
