"""Ways to damage a file of a project."""

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal

Spoil = Callable[[Path], None]
# lasts as long as the command
Meanwhile = Callable[[Path], AbstractContextManager[Any]]


def write(path: str, content: str | bytes) -> Spoil:
    """Puts other content in the file's place."""

    def spoil(project: Path) -> None:
        target = project / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    return spoil


def append(path: str, content: str | bytes) -> Spoil:
    """Adds content at the file's end."""

    def spoil(project: Path) -> None:
        with (project / path).open("ab") as file:
            file.write(content.encode() if isinstance(content, str) else content)

    return spoil


def replace(path: str, old: str, new: str) -> Spoil:
    """Replaces words of a text file, which must be there."""

    def spoil(project: Path) -> None:
        text = (project / path).read_text(encoding="utf-8")
        assert old in text, f"{path} has no {old!r}"
        (project / path).write_text(text.replace(old, new), encoding="utf-8")

    return spoil


def recode(path: str, encoding: str, text: str | None = None) -> Spoil:
    """Writes the file's text, or another one, in another encoding."""

    def spoil(project: Path) -> None:
        content = text if text is not None else (project / path).read_text(encoding="utf-8")
        (project / path).write_bytes(content.encode(encoding))

    return spoil


def remove(path: str) -> Spoil:
    """Removes a file or a folder, which must be there."""

    def spoil(project: Path) -> None:
        target = project / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return spoil


def truncate(path: str, share: float = 0.5) -> Spoil:
    """Cuts the file's end off."""

    def spoil(project: Path) -> None:
        os.truncate(project / path, int((project / path).stat().st_size * share))

    return spoil


def flip(path: str, share: float = 0.9) -> Spoil:
    """Flips every bit of one byte."""

    def spoil(project: Path) -> None:
        content = bytearray((project / path).read_bytes())
        content[int(len(content) * share)] ^= 0xFF
        (project / path).write_bytes(bytes(content))

    return spoil


def as_folder(path: str) -> Spoil:
    """Puts a folder in the file's place."""

    def spoil(project: Path) -> None:
        (project / path).unlink(missing_ok=True)
        (project / path).mkdir(parents=True)

    return spoil


def as_file(path: str) -> Spoil:
    """Puts a file in the folder's place."""

    def spoil(project: Path) -> None:
        shutil.rmtree(project / path, ignore_errors=True)
        (project / path).write_bytes(b"not a folder\n")

    return spoil


def edit_json(path: str, **values: Any) -> Spoil:
    """Sets keys of a JSON file; a value of `...` removes the key."""

    def spoil(project: Path) -> None:
        content = json.loads((project / path).read_text())
        for key, value in values.items():
            if value is ...:
                del content[key]
            else:
                content[key] = value
        (project / path).write_text(json.dumps(content))

    return spoil


def edit_tensors(path: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Spoil:
    """Changes the tensors of a safetensors file by name."""

    def spoil(project: Path) -> None:
        from safetensors.torch import load_file, save_file

        save_file(change(load_file(project / path)), project / path, metadata={"format": "pt"})

    return spoil


def edit_table(path: str, change: Callable[[Any], Any]) -> Spoil:
    """Changes a Parquet table, given as a pandas frame."""

    def spoil(project: Path) -> None:
        import pandas as pd

        change(pd.read_parquet(project / path)).to_parquet(project / path, index=False)

    return spoil


def all_of(*spoils: Spoil) -> Spoil:
    """Does one damage after another."""

    def spoil(project: Path) -> None:
        for each in spoils:
            each(project)

    return spoil


def forbidden(path: str, what: Literal["read", "write"] = "write") -> Meanwhile:
    """Forbids to write to a file or a folder, or to read it; commands after OBEYING_MODES keep to it."""
    bits = {"read": 0o444, "write": 0o222}[what]

    @contextmanager
    def meanwhile(project: Path) -> Iterator[None]:
        target = project / path
        mode = stat.S_IMODE(target.stat().st_mode)
        target.chmod(mode & ~bits)
        try:
            yield
        finally:
            target.chmod(mode)

    return meanwhile
