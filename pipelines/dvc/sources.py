"""The source files that a stage depends on, computed from imports and from what the parameters name.

A stage runs again when one of these files changes. The list of them is computed.
"""

import ast
import glob
import itertools
import re
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

# The folder in which each top-level package of ours lies, relative to the project's folder.
PACKAGES = {"stablerep": "src", "pipelines": "."}
# Left out: errors.py shapes messages and whole_files.py the way to the disk. Neither changes a result.
LEFT_OUT = frozenset({"src/stablerep/errors.py", "src/stablerep/storage/whole_files.py"})
# Parameters may name files and folders of people's own, anywhere. What stages make lies in the other
# folders of data/, and the catalog knows its paths.
_RAW_DATA = "data/01_raw/"
_MADE = ("data/", "mlflow/")
_DOTTED_NAME = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
_TEMPLATES = "templates"
_TEMPLATE_LOADERS = (_TEMPLATES, "PackageLoader")  # jinja2's PackageLoader looks in `templates/` by default


@dataclass(eq=False)
class Sources:
    """Finds source files of one project; reads and parses each file once.

    Attributes:
        project: the project's folder.
    """

    project: Path
    _imports: dict[str, set[str]] = field(default_factory=dict, init=False, repr=False)
    _texts: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _trees: dict[str, ast.Module] = field(default_factory=dict, init=False, repr=False)

    def of_stage(self, modules: Iterable[str], parameters: Any = None) -> list[str]:
        """Returns the files and folders on which a stage depends.

        Args:
            modules: the modules of the stage's node functions. A module that stands beside a `pipeline.py`
                brings its whole folder, because the graph decides what its nodes are given.
            parameters: the parameters that the nodes take; classes and files that they name are included.

        Returns:
            Sorted paths relative to the project's folder. A folder stands for its files where every Python
            file in or below it is used.
        """
        starts = [path for path in map(self._file_of, modules) if path]
        rooms = {path.parent.as_posix() for path in map(PurePosixPath, starts) if self._is_room(path.parent)}
        named = {name for text in texts_in(parameters) for name in [self._module_of(text)] if name}
        used = self._closure([*starts, *(path for path in map(self._file_of, named) if path)])
        templates = {folder for path in used for folder in [self._templates_of(path)] if folder}
        own = {path for path in self._python_files if any(path.startswith(f"{room}/") for room in rooms)}
        counted = {path for path in used | own if path not in LEFT_OUT and not self._is_neutral(path)}
        files = self._with_whole_folders(counted)
        return sorted(without_nested(files | rooms | templates | set(self.input_files(parameters))))

    def input_files(self, parameters: Any) -> list[str]:
        """Returns the existing files and folders that parameters name, except what stages make.

        Such as `conf/words/x.txt`, `data/01_raw/photos` and `/datasets/photos`. For a glob it is the
        folder above the first wildcard, because DVC takes no wildcards.
        """
        return sorted({path for text in texts_in(parameters) for path in [self._input_of(text)] if path})

    def _input_of(self, text: str) -> str | None:
        if "/" not in text or "\n" in text or (text.startswith(_MADE) and not text.startswith(_RAW_DATA)):
            return None
        path = without_wildcards(text)
        try:
            return path if PurePosixPath(path).name and (self.project / path).exists() else None
        except OSError:  # a text that is too long for a path
            return None

    def _closure(self, files: Iterable[str]) -> set[str]:
        used: set[str] = set()
        waiting = list(files)
        while waiting:
            path = waiting.pop()
            if path not in used:
                used.add(path)
                waiting += self._imported_by(path) - used
        return used

    def _imported_by(self, path: str) -> set[str]:
        """Returns the files that a file imports anywhere, except under `if TYPE_CHECKING`."""
        if path not in self._imports:
            names = set(_imported_names(self._tree(path), _package_of(path)))
            modules = {module for module in map(self._module_of, names) if module}
            # an import runs the packages above the module, too
            parents = {parent for module in modules for parent in _parents(module)}
            above = {file for file in map(self._file_of, parents) if file and not self._is_empty(file)}
            self._imports[path] = {file for file in map(self._file_of, modules) if file} | above
        return self._imports[path]

    def _text(self, path: str) -> str:
        if path not in self._texts:
            self._texts[path] = (self.project / path).read_text(encoding="utf-8")
        return self._texts[path]

    def _tree(self, path: str) -> ast.Module:
        if path not in self._trees:
            self._trees[path] = ast.parse(self._text(path))
        return self._trees[path]

    def _module_of(self, name: str) -> str | None:
        """Returns the longest part of a dotted name that is a module of ours."""
        if not _DOTTED_NAME.fullmatch(name):
            return None
        parts = name.split(".")
        candidates = (".".join(parts[:length]) for length in range(len(parts), 1, -1))
        return next((module for module in candidates if self._file_of(module)), None)

    def _file_of(self, module: str) -> str | None:
        """Returns the file of a module of ours; of a package it is `__init__.py`."""
        first, *_ = module.split(".")
        if first not in PACKAGES:
            return None
        path = PurePosixPath(PACKAGES[first], *module.split("."))
        for file in (f"{path}.py", f"{path}/__init__.py"):
            if (self.project / file).is_file():
                return file
        return None

    def _is_empty(self, path: str) -> bool:
        """Says whether a file has nothing but a docstring."""
        return all(
            isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
            for each in self._tree(path).body
        )

    def _is_room(self, folder: PurePosixPath) -> bool:
        return (self.project / folder / "pipeline.py").is_file()

    def _templates_of(self, path: str) -> str | None:
        folder = PurePosixPath(path).parent / _TEMPLATES
        text = self._text(path)
        is_used = any(word in text for word in _TEMPLATE_LOADERS) and (self.project / folder).is_dir()
        return folder.as_posix() if is_used else None

    @cached_property
    def _python_files(self) -> list[str]:
        """The project's Python files that git tracks, or all of them where the project has no git."""
        folders = [str(PurePosixPath(root, package)) for package, root in PACKAGES.items()]
        if (self.project / ".git").exists():
            command = ["git", "ls-files", "-z", "--", *folders]
            listed = subprocess.run(command, cwd=self.project, check=True, capture_output=True, text=True)  # noqa: S603
            names = [name for name in listed.stdout.split("\0") if name.endswith(".py")]
            return [name for name in names if (self.project / name).is_file()]
        files = (file for folder in folders for file in (self.project / folder).rglob("*.py"))
        return [file.relative_to(self.project).as_posix() for file in files]

    def _with_whole_folders(self, used: Collection[str]) -> set[str]:
        """Replaces files by their folder where every Python file in or below the folder is used."""
        unused = {path for path in self._python_files if path not in used and not self._is_neutral(path)}
        incomplete = {folder for path in unused for folder in _folders(path)}
        result = set()
        for path in used:
            complete = [folder for folder in _folders(path) if folder not in incomplete]
            result.add(complete[-1] if complete else path)
        return result

    def _is_neutral(self, path: str) -> bool:
        """Says whether a file cannot change a result: a package's own file with only a docstring."""
        return path.endswith("/__init__.py") and self._is_empty(path)


def texts_in(parameters: Any) -> Iterator[str]:
    """Yields every text in nested mappings and lists."""
    if isinstance(parameters, str):
        yield parameters
    elif isinstance(parameters, Mapping):
        for value in parameters.values():
            yield from texts_in(value)
    elif isinstance(parameters, list | tuple):
        for value in parameters:
            yield from texts_in(value)


def without_wildcards(path: str) -> str:
    """Returns the folder above the first wildcard of a glob, or the path itself."""
    parts = itertools.takewhile(lambda part: not glob.has_magic(part), PurePosixPath(path).parts)
    return str(PurePosixPath(*parts))


def without_nested(paths: Iterable[str]) -> set[str]:
    """Drops each path that lies below another one: DVC tracks it with the folder."""
    kept = set(paths)
    return {path for path in kept if not any(folder in kept for folder in _folders(path))}


def _folders(path: str) -> list[str]:
    """Returns the folders above a file, the nearest first, the project's folder excluded."""
    return [parent.as_posix() for parent in PurePosixPath(path).parents if parent.parts]


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _package_of(path: str) -> list[str]:
    """Returns the package of a file, as parts, for its relative imports."""
    parts = PurePosixPath(path).parent.parts
    return list(parts[1:] if parts[:1] == ("src",) else parts)


def _imported_names(tree: ast.AST, package: list[str]) -> Iterator[str]:
    """Yields what is imported, and texts that may name a module, as for `python -m`."""
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.If) and "TYPE_CHECKING" in ast.unparse(each.test):
            waiting += each.orelse
            continue
        if isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            above = package[: len(package) - each.level + 1] if each.level else []
            source = ".".join([*above, *([each.module] if each.module else [])])
            yield from (f"{source}.{alias.name}" for alias in each.names)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
        waiting += ast.iter_child_nodes(each)
