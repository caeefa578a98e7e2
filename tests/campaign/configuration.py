"""Files under conf/ that are broken, and words files."""

from tests.campaign.damage import Spoil, append, recode, remove, replace, write
from tests.campaign.outcome import OF_CURATION, SURVIVED, Case, kedro_run

_CATALOG = "conf/base/catalog.yml"
_OWN = "conf/local/catalog.yml"
_CREDENTIALS = "conf/local/credentials.yml"
_GLOBALS = "conf/base/globals.yml"
_TRAINING = "conf/params/training/default.yaml"
_EXPERIMENT = "conf/params/experiment/smoke.yaml"
_CONFIG = "conf/params/config.yaml"
_CURATION = kedro_run("--pipelines", "curation")


def _case(name: str, says: str, spoil: Spoil) -> Case:
    return Case(name, _CURATION, says, spoil)


CASES = [
    # syntax, encoding, tabs, duplicate keys, tags: in each kind of file
    *(
        _case(f"{what} in the {kind}", path.rpartition("/")[2], spoil)
        for kind, path in (
            ("catalog", _CATALOG),
            ("local catalog", _OWN),
            ("credentials", _CREDENTIALS),
            ("globals", _GLOBALS),
            ("parameters", _TRAINING),
            ("experiment", _EXPERIMENT),
            ("list of choices", _CONFIG),
        )
        for what, spoil in (
            ("an open bracket", write(path, "a: [1, 2\nb: 3\n")),
            ("Latin-1", recode(path, "latin-1", "# Größe\na: é\n")),
            ("a tab", write(path, "a:\n\tb: 1\n")),
            ("a key twice", write(path, "a: 1\na: 2\n")),
            ("a Python tag", write(path, "a: !!python/object/apply:os.system ['touch owned']\n")),
            ("a list for a mapping", write(path, "- 1\n- 2\n")),
            ("binary content", write(path, bytes(range(256)))),
        )
    ),
    _case("an empty catalog", "catalog", write(_CATALOG, "")),
    _case("no catalog", "catalog", remove(_CATALOG)),
    _case(
        "an unknown type of data set",
        "NoSuchDataset",
        replace(
            _CATALOG,
            "curation_ledger:\n  type: pipelines.datasets.JSONDataset",
            "curation_ledger:\n  type: pipelines.datasets.NoSuchDataset",
        ),
    ),
    _case(
        "a data set without a type",
        "curation_ledger",
        replace(_CATALOG, "curation_ledger:\n  type: pipelines.datasets.JSONDataset", "curation_ledger:"),
    ),
    _case(
        "a data set with an unknown argument",
        "curation_ledger",
        replace(
            _CATALOG,
            "filepath: data/03_primary/curation_ledger.json",
            "file_path: data/03_primary/curation_ledger.json",
        ),
    ),
    _case(
        "a validator of no module",
        "NoSuchModel",
        replace(
            _CATALOG, "stablerep.validation.schemas.Takedowns", "stablerep.validation.schemas.NoSuchModel"
        ),
    ),
    _case("an interpolation of nothing in the catalog", "nosuch", append(_CATALOG, "\nextra: ${nosuch}\n")),
    _case("an empty file of parameters", "training", write(_TRAINING, "")),
    _case("no file of a choice", "default", remove(_TRAINING)),
    _case(
        "an experiment that includes itself",
        "smoke",
        write(_EXPERIMENT, "# @package _global_\ndefaults:\n  - smoke\n  - _self_\n"),
    ),
    _case(
        "defaults that name nothing",
        "nosuch",
        write(_EXPERIMENT, "# @package _global_\ndefaults:\n  - nosuch\n  - _self_\n"),
    ),
    _case(
        "an interpolation of nothing",
        "nosuch",
        replace(_TRAINING, "weight_decay: 0.05", "weight_decay: ${nosuch.key}"),
    ),
    _case(
        "an interpolation of itself",
        "learning_rate",
        replace(_TRAINING, "learning_rate: 0.003", "learning_rate: ${training.learning_rate}"),
    ),
    _case("an unknown key in a file", "learning_rate", replace(_TRAINING, "learning_rate:", "learning_rat:")),
    Case(  # the settings have a default
        "a removed key in a file",
        _CURATION,
        spoil=replace(_TRAINING, "weight_decay: 0.05\n", ""),
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    _case("no list of choices", "config.yaml", remove(_CONFIG)),
    _case(
        "a choice in the list that is not there",
        "nosuch",
        replace(_CONFIG, "- training: default", "- training: nosuch"),
    ),
    _case("no words file", "digit_scenes.txt", remove("conf/words/digit_scenes.txt")),
    _case("an empty words file", "digit_scenes.txt", write("conf/words/digit_scenes.txt", "")),
    _case(
        "a words file in Latin-1",
        "digit_scenes.txt",
        recode("conf/words/digit_scenes.txt", "latin-1", "null\nzéro\n"),
    ),
    _case("a binary words file", "digit_scenes.txt", write("conf/words/digit_scenes.txt", bytes(range(256)))),
    Case(
        "an empty local folder",
        _CURATION,
        spoil=write("conf/local/catalog.yml", ""),
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    Case(
        "a byte order mark in the parameters",
        _CURATION,
        spoil=recode(_TRAINING, "utf-8-sig"),
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
]
