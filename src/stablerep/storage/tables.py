"""Tables in Parquet files, read as a whole; a damaged file is one kind of error."""

import errno
import os
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException

from stablerep.errors import DataError

# pandas reads its own notes in the file's footer without checking them: of 3,000 files with changed bytes 80
# raised one of the builtin errors
_OF_DAMAGE = (ArrowException, LookupError, TypeError, ValueError)


def read_table(path: Path) -> pd.DataFrame:
    """Returns the table in a Parquet file.

    Raises:
        DataError: the file is damaged, or of another format.
        OSError: the file is missing, or its file system failed.
    """
    try:
        return pd.read_parquet(path)
    except FileNotFoundError as error:  # without number and name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise DataError(f"{path.name}: {error}") from error  # pyarrow's, of a footer that makes no sense
    except _OF_DAMAGE as error:
        raise DataError(f"{path.name}: {error}") from error
