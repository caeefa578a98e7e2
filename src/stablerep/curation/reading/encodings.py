"""Text that is not UTF-8 and says so in its first bytes."""

from pathlib import Path

from stablerep.errors import DataError

HEAD_BYTES = 4  # of the longest byte order mark
# The Unicode Standard, table 23-5. UTF-32's little-endian mark begins with that of UTF-16.
_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def refuse_wide_text(path: Path, head: bytes) -> None:
    """Raises DataError for a file whose byte order mark is that of UTF-16 or UTF-32.

    Args:
        path: of the file, for the message.
        head: its first `HEAD_BYTES` bytes at least; fewer where the file is shorter.
    """
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            raise DataError(f"{path}: line 1, byte 1: is {name}; must be UTF-8. Save it as UTF-8.")
