"""Reads YAML; a fault names the file, the line and what is wrong.

PyYAML, OmegaConf, Hydra and Kedro raise errors of a dozen kinds for a file that is not well-formed, most of
them without its name. So nothing is checked on the way that works: once one of them has failed, the files
are read again here, one by one.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stablerep.errors import ConfigError, StableRepError

_NESTED = "is nested too deeply, or an alias (*name) stands inside its own anchor (&name)"


class NotYamlError(ValueError):
    """A text is not YAML, or not YAML that a configuration may contain.

    Args:
        what: is wrong.
        line: from 1; None where it is not known.
    """

    def __init__(self, what: str, line: int | None = None) -> None:
        """Takes what is wrong and where."""
        super().__init__(what)
        self.what = what
        self.line = line


@contextmanager
def in_plain_words(text: str) -> Iterator[None]:
    """Turns an error of the block, which reads a text as YAML, into one with the place and the reason.

    Raises:
        NotYamlError: with the line and what is wrong there.
    """
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise NotYamlError(_told(str(error.problem)), line) from error
    except yaml.reader.ReaderError as error:
        told = f"has a character that YAML does not allow ({error.reason})"
        raise NotYamlError(told, text.count("\n", 0, error.position) + 1) from error
    except RecursionError as error:
        raise NotYamlError(_NESTED) from error
    except OmegaConfBaseException as error:
        raise NotYamlError(str(error).splitlines()[0]) from error
    except OSError as error:  # OmegaConf's for a file that holds a number
        raise NotYamlError("must be a mapping of keys to values") from error
    except (ValueError, AttributeError, TypeError) as error:  # PyYAML's for `!!int x` and `!!timestamp x`
        raise _wrong_scalar(text) from error


def read_yaml_file(path: Path) -> DictConfig:
    """Returns the mapping in a file; an empty one where there is none.

    Raises:
        ConfigError: the file cannot be read, is no UTF-8 or no YAML, or holds no mapping of names.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); must be a YAML file.") from error
    try:
        text = content.decode("utf-8")
        with in_plain_words(text):
            config: Any = OmegaConf.load(StringIO(text))
        if not OmegaConf.is_dict(config):
            raise NotYamlError("is a list; must be a mapping of keys to values", 1)
        for key in config:
            if not isinstance(key, str):
                raise NotYamlError(f"has the key {key!r}, which is not a string; put it in quotes")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}, line {line}: has the byte 0x{content[error.start]:02X}, so it is not UTF-8; must be "
            "UTF-8. Save it in that encoding."
        ) from error
    except NotYamlError as error:
        place = f"{path}, line {error.line}" if error.line else str(path)
        raise ConfigError(f"{place}: {error.what}. Correct it there.") from error
    return config


def told_of_interpolation(error: OmegaConfBaseException) -> str:
    """Returns what is wrong with a value such as `${a.b}`, and the key that has it."""
    told = str(error).splitlines()[0]
    return f"{error.full_key or 'a value'}: {told}; ${{...}} must name an existing key."


def place_of_key(key: str, paths: Iterable[Path]) -> str | None:
    """Returns the file and the line of a dotted key, of the last of several files; None where none has it."""
    place = None
    for path in paths:
        node: Any = yaml.compose(path.read_text(encoding="utf-8"))
        found = None
        for part in key.split("."):
            pairs = node.value if isinstance(node, yaml.MappingNode) else ()
            found, node = next(((name, value) for name, value in pairs if name.value == part), (found, None))
        if found is not None:
            place = f"{path}, line {found.start_mark.line + 1}"
    return place


@contextmanager
def naming_the_faulty_file(paths: Iterable[Path]) -> Iterator[None]:
    """Turns an error in the block into a ConfigError that names the faulty file.

    Args:
        paths: of the files that the block reads; gone through only when it fails.

    Raises:
        ConfigError: one of the files is no YAML. Where all of them are, the error is raised as it is.
    """
    try:
        yield
    except Exception as error:
        # what is composed may be wrong because of a file: Hydra takes a list for an experiment without values
        if isinstance(error, StableRepError) and not isinstance(error, ConfigError):
            raise
        for path in paths:
            read_yaml_file(path)
        raise


def _told(problem: str) -> str:
    if r"'\t'" in problem:
        return "has a tab at the beginning of the line; must be indented with spaces"
    if problem.startswith("found duplicate key"):
        return f"has the key {problem.removeprefix('found duplicate key ')!r} twice; must have it once"
    if problem.startswith("could not determine a constructor for the tag"):
        tag = problem.rpartition("tag ")[2].strip("'").replace("tag:yaml.org,2002:", "!!")
        return f"has the tag {tag}; must have plain values only: text, numbers, lists and mappings"
    return f"is not YAML: {problem}"


def _wrong_scalar(text: str) -> NotYamlError:
    """Finds the value that does not fit its tag, or is longer than Python reads."""
    loader = yaml.SafeLoader(text)
    nodes = [loader.get_single_node()]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.ScalarNode):
            try:
                loader.construct_object(node)
            except (ValueError, AttributeError, TypeError):
                tag = node.tag.replace("tag:yaml.org,2002:", "!!")
                shown = node.value if len(node.value) <= 40 else f"{node.value[:40]}..."
                return NotYamlError(
                    f"has {shown!r}, which cannot be read as {tag}; must be a valid one",
                    node.start_mark.line + 1,
                )
        elif isinstance(node, yaml.CollectionNode):
            nodes += [each for part in node.value for each in (part if isinstance(part, tuple) else (part,))]
    return NotYamlError("has a value that does not fit its tag")
