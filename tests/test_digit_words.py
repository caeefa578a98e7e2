"""Only the embedded corpus knows what its images show: no other file names or imports it, except ALLOWED."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "src/stablerep/digit_scenes/"
SEARCHED = ("src/stablerep", "pipelines", "conf", "benchmarks")
_WORDS = "digit|digits|ink|inks|hand|hands|handwrit[a-z]*|scene|scenes"
# as words of a text, as parts of snake_case and as the first part of CamelCase
WORDS = re.compile(rf"(?i:(?<![a-z])({_WORDS})(?![a-z]))|(Digit|Ink|Hand|Scene)s?[A-Z]")
# Files or folders that may name the corpus. The configuration names it because a user chooses it there.
ALLOWED = (
    # the default, and what belongs to the embedded corpus
    "conf/params/config.yaml",
    "conf/params/alignment/embedded.yaml",
    "conf/params/corpus/digit_scenes.yaml",
    "conf/params/curation/digit_scenes.yaml",
    "conf/params/generator/embedded.yaml",
    "conf/params/pretraining/embedded.yaml",
    "conf/params/scorer/embedded.yaml",
    "conf/params/validation/digit_scenes.yaml",
    "conf/words/digit_scenes.txt",
    "conf/words/visible.txt",  # 50,000 words of English
    # experiments that choose it
    "conf/params/experiment/claims.yaml",
    "conf/params/experiment/digit_scenes.yaml",
    "conf/params/experiment/optional_parts.yaml",
    "conf/params/experiment/own_captions.yaml",
    "conf/params/experiment/recipe.yaml",
    "conf/params/experiment/references.yaml",
    "conf/params/experiment/smoke.yaml",
    "conf/params/experiment/worth_it.yaml",
    "conf/params/experiment/worth_it.yaml",
    "pipelines/config/given.py",  # the old name of evaluation_sets.scenes
    # benchmarks that need captions to draw or a judge of images, and take the embedded corpus's
    "benchmarks/gate.py",
    "benchmarks/generation.py",
    "benchmarks/training.py",
    "benchmarks/startup.py",  # it times the default experiment, and names its evaluation set
)


def tracked_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *SEARCHED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def lines_with_words(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
    lines = enumerate(text.splitlines(), start=1)
    return [f"{name}:{number}: {line.strip()}" for number, line in lines if WORDS.search(line)]


def test_no_file_outside_the_package_says_what_its_images_show() -> None:
    found = []
    for name in tracked_files():
        if not name.startswith((PACKAGE, *ALLOWED)):
            found.extend(lines_with_words(name))
    assert found == []


def test_every_allowed_place_still_needs_it() -> None:
    names = tracked_files()
    idle = [place for place in ALLOWED if not any(lines_with_words(n) for n in names if n.startswith(place))]
    assert idle == []


def test_the_words_are_found() -> None:
    assert lines_with_words(f"{PACKAGE}hands.py")
    for text in ("a digit.", "INKS", "hand_ids", "digit_scenes", "SceneSettings", "handwritten"):
        assert WORDS.search(text), text
    assert not WORDS.search("behind DigitalSourceType backhand linked obscene handle")
