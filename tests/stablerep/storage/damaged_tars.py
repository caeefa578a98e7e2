"""Tar files with members that no shard has."""

import io
import tarfile


def with_a_link(data: bytes, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> bytes:
    """Returns a tar file with a link in the place of one of its members."""
    made = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar, tarfile.open(fileobj=made, mode="w") as changed:
        for info in tar:
            if info.name != name:
                changed.addfile(info, tar.extractfile(info))
                continue
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            changed.addfile(link)
    return made.getvalue()
