"""The command `stablerep`: shows where an image comes from, makes it again, exports it, or takes it down."""

import getpass
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli import in_one_message
from stablerep.errors import DataError
from stablerep.storage.whole_files import written_whole

if TYPE_CHECKING:
    from pipelines.tracking.captions import TrackedEncoder
    from stablerep.attribution.find import FoundImage
    from stablerep.attribution.takedown import AffectedCaption

PROJECT = Path(__file__).parents[2]
_NUM_SHOWN = 20  # lines of a listing; --all shows the others
_NOT_KNOWN = "not known"


@click.group(name="stablerep")
def attribution() -> None:
    """Show where images come from, take images down, export encoders, and compare runs."""


# --------------------------------------------------------------------------------------- show


@attribution.command()
@click.argument("image")
@click.option("--remake", "wants_remake", is_flag=True, help="Draw it again from the record, and compare.")
@click.option("--model", type=click.Path(path_type=Path), help="The model's folder; else the embedded one's.")
@click.option("--image-set", help="The image set to look in; needed where several have the image.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def show(image: str, wants_remake: bool, model: Path | None, image_set: str | None, as_json: bool) -> None:
    """Print where IMAGE came from: an image id, <caption id>.<k>, or the path of an exported PNG.

    Ends with exit code 1 where its bytes are not those that were recorded.
    """
    with in_one_message():
        found = _find(image, image_set)
        click.echo(found.record.to_json() if as_json else "\n".join(_lines(found)))
        if wants_remake:
            # apart from the JSON, which programs read
            click.echo(f"made again: {_remade(found, model)}", err=as_json)
        if not found.intact:
            raise DataError(f"image {found.record.image_id}: {_state(found)}. {_hint(found)}")


def _lines(found: "FoundImage") -> Iterator[str]:
    record = found.record
    facts = record.generator
    options = ", ".join(f"{name}={value}" for name, value in facts.get("scheduler_options", {}).items())
    scheduler = facts.get("scheduler") or ("as in the model's folder" if facts else _NOT_KNOWN)
    said = {
        "image": record.image_id,
        "found in": found.where,
        "caption": record.text + (" (longer than the text encoder takes)" if record.truncated else ""),
        "source": record.source,
        "licence": record.licence,
        "model": f"{facts['model']}, {record.model_id}" if facts else _NOT_KNOWN,
        "generator": f"{record.generator_id} (model and settings)",
        "seed": f"{record.set_seed} of the set, {record.noise_seed} of the image's noise, "
        f"drawn by {facts.get('noise', 'torch') if facts else _NOT_KNOWN}",
        "guidance": facts.get("guidance_scale", _NOT_KNOWN),
        "scheduler": f"{scheduler}{f' ({options})' if options else ''}",
        "steps": facts.get("num_inference_steps", _NOT_KNOWN),
        "size": f"{record.width_px} x {record.height_px} pixels, drawn at {facts.get('size_px', '?')}",
        "arithmetic": facts.get("dtype", _NOT_KNOWN),
        "software": ", ".join(f"{name} {value}" for name, value in record.software.items()) or _NOT_KNOWN,
        "alignment": _NOT_KNOWN if found.alignment is None else f"{found.alignment:.3f} ({found.scorer_id})",
        "digest": record.digest,
        "intact": _state(found),
    }
    if facts.get("negative_prompt"):
        said["negative prompt"] = facts["negative_prompt"]
    width = max(map(len, said))
    return (f"{name:{width}}  {value}" for name, value in said.items())


def _state(found: "FoundImage") -> str:
    if found.intact:
        return "yes"
    return "no, its bytes are missing" if found.data is None else "no, it has other bytes than were recorded"


def _hint(found: "FoundImage") -> str:
    return (
        "`kedro run --pipelines image_sets` makes what is damaged in the image set again; a file is written "
        f"anew by `stablerep export {found.record.image_id} FOLDER`."
    )


def _remade(found: "FoundImage", model: Path | None) -> str:
    from stablerep.attribution.remake import compare, remake

    remade = remake(found.record, model or catalog_path("generator_folder"))
    return compare(found.record, found.data if found.intact else None, remade).summary()


# --------------------------------------------------------------------------------------- export


@attribution.command()
@click.argument("images", nargs=-1, required=True)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--image-set", help="The image set to look in; needed where several have an image.")
def export(images: tuple[str, ...], folder: Path, image_set: str | None) -> None:
    """Write IMAGES, by id, to FOLDER as PNG files that carry their record and say that a model drew them."""
    with in_one_message():
        from stablerep.attribution.png import with_record

        written = {}
        for image in images:
            found = _find(image, image_set)
            if found.data is None or not found.intact:
                raise DataError(f"image {found.record.image_id}: {_state(found)}. {_hint(found)}")
            written[folder / f"{found.record.image_id}.png"] = with_record(found.data, found.record)
        for path, data in written.items():
            with written_whole(path, "Choose another folder.") as beside:
                beside.write_bytes(data)
            click.echo(str(path))


# --------------------------------------------------------------------------------------- takedown


@attribution.command()
@click.argument("what")
@click.option("--reason", help="Why, in a few words; it stands in the takedowns and among the rejects.")
@click.option("--who", help="Who decided; else git's user.name.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--all", "shows_all", is_flag=True, help="List every image, not the first ones.")
def takedown(what: str, reason: str | None, who: str | None, yes: bool, shows_all: bool) -> None:
    """List what came from WHAT and, confirmed, remove its images for good.

    WHAT is a caption id (c-...), a generator id (g-...), a model id (m-..., that model with whatever
    settings) or a source as the captions name it. The takedown is written to data/01_raw/takedowns.csv, which
    belongs into git: curation and generation obey it.
    """
    with in_one_message(), _data_held():
        from stablerep.attribution.takedown import find_affected, remove_images
        from stablerep.curation.people.takedowns import add_takedown, kind_of, read_takedowns
        from stablerep.generation.image_sets.cache import SampleCache

        kind = kind_of(what)
        path = catalog_path("takedowns")
        known = read_takedowns(path)
        recorded = bool(((known["what"] == what) & (known["kind"] == kind)).any())
        found = {store: find_affected(store, kind, what) for store in _stores()}
        affected = [each for those in found.values() for each in those]
        encoders = _encoders(kind, what)
        if not affected and not recorded and all(each.num_captions is None for each in encoders):
            _check_known(kind, what)
        _list(kind, what, affected, encoders, shows_all)
        if recorded and not affected:
            click.echo(f"{what} is taken down already; nothing to do.")
            return
        if not yes and not click.confirm("Remove these images and never make them again?"):
            click.echo("Nothing was changed.")
            return
        if not recorded:
            add_takedown(path, _line(what, kind, reason, who, yes))
        num = sum(remove_images(store, those) for store, those in found.items() if those)
        for store in found:
            SampleCache(store, 0).forget_taken_down(read_takedowns(path))
        click.echo(
            f"{num} images removed; {path} has the takedown: commit it. `dvc repro` trains without them. "
            "Earlier versions stay in DVC's cache and remote until `dvc gc`, the encoders above until you "
            "delete them."
        )


def _stores() -> list[Path]:
    """Returns the folders of generated image sets: those of arms, and those of the guidance study."""
    return [*image_stores().values(), *sorted(catalog_path("study_folder").glob("images-*/"))]


@contextmanager
def _data_held() -> Iterator[None]:
    """Holds the data folder: a run that is making images would bring some back."""
    from pipelines.run.lock import hold_data_folder

    with hold_data_folder(PROJECT / "data"):
        yield


def _line(what: str, kind: str, reason: str | None, who: str | None, yes: bool) -> Any:
    from stablerep.curation.people.takedowns import Takedown

    if reason is None and yes:
        raise DataError(f"takedown of {what!r}: --reason is missing; must be given with --yes. Add it.")
    reason = click.prompt("Why") if reason is None else reason
    today = datetime.now(UTC).date().isoformat()
    return Takedown(what, kind, str(reason).strip(), today, (who or _user()).strip())


def _user() -> str:
    try:
        done = subprocess.run(  # noqa: S603 -- fixed arguments
            ["git", "-C", str(PROJECT), "config", "user.name"],  # noqa: S607
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip() or getpass.getuser()
    except (OSError, KeyError, subprocess.CalledProcessError):
        try:
            return getpass.getuser()
        except (OSError, KeyError):
            return "unknown"  # a container's user without a name


def _encoders(kind: str, what: str) -> "list[TrackedEncoder]":
    from pipelines.tracking.captions import find_encoders
    from pipelines.tracking.store import check_store, store_faults, store_uri

    check_store(PROJECT)
    with store_faults(PROJECT):
        return find_encoders(store_uri(PROJECT), kind, what)


def _check_known(kind: str, what: str) -> None:
    """Raises DataError unless the corpus has such captions: nothing came from it, so it may be mistyped."""
    from pipelines.config.corpus import build_corpus
    from pipelines.config.loader import compose
    from stablerep.caption_ids import caption_id_of
    from stablerep.curation.settings import Reading
    from stablerep.nearest_name import must_be_one_of

    sources: set[str] = set()
    with chdir(PROJECT):  # relative paths in the configuration are the project's
        parameters = compose(PROJECT / "conf/params", {})
        reading = Reading.read(parameters["curation"]["reading"])
        for batch in build_corpus(parameters["corpus"]).caption_batches(reading):
            sources |= set(batch["source"].unique())
            if (kind == "source" and what in sources) or (
                kind == "caption" and what in map(caption_id_of, batch["caption"])
            ):
                return
    told = "`stablerep show <image id>` tells them."
    if kind == "source":
        told = f"A source {must_be_one_of(what, sources)}"
    raise DataError(
        f"takedown of {kind} {what!r}: no image, tracked encoder or caption came from it; must be a "
        "caption id (c- and 16 hexadecimal characters), a generator id (g-...), a model id (m-...) or a "
        "source. "
        f"{told}"
    )


def _list(
    kind: str,
    what: str,
    affected: "Sequence[AffectedCaption]",
    encoders: "Sequence[TrackedEncoder]",
    shows_all: bool,
) -> None:
    ids = sorted(image_id for each in affected for image_id in each.image_ids)
    num_captions = len({each.record["caption_id"] for each in affected})
    click.echo(f"{len(ids)} images of {num_captions} captions came from {kind} {what!r}:")
    _echo_some(ids, shows_all)
    told = [each for each in encoders if each.num_captions is not None]
    click.echo(f"{len(told)} tracked encoders came from it:")
    _echo_some([f"{each}; captions: {each.num_captions}" for each in told], shows_all)
    silent = [each for each in encoders if each.num_captions is None]
    if silent:
        click.echo(f"{len(silent)} tracked encoders may have: their runs do not tell their captions:")
        _echo_some([str(each) for each in silent], shows_all)


def _echo_some(lines: Sequence[str], shows_all: bool) -> None:
    shown = lines if shows_all else lines[:_NUM_SHOWN]
    for line in shown:
        click.echo(f"  {line}")
    if len(lines) > len(shown):
        click.echo(f"  and {len(lines) - len(shown)} more; --all lists them")


# --------------------------------------------------------------------------------------- image sets


def image_stores() -> dict[str, Path]:
    """Returns the folders of the generated image sets that are there, by the sets' names."""
    from stablerep.storage.shards import SHARDS_FOLDER

    folder = catalog_path("image_set_of_{set}").parent
    return {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{SHARDS_FOLDER}"))}


def _find(image: str, image_set: str | None) -> "FoundImage":
    """Finds an image in the one image set that has it.

    Raises:
        ConfigError: there is no such image set.
        DataError: no set has the image, or several have it.
    """
    from stablerep.attribution.find import find_image
    from stablerep.errors import ConfigError
    from stablerep.nearest_name import must_be_one_of

    stores = image_stores()
    if not stores:
        raise DataError(
            f"image {image!r}: no image set is there yet. Make one: kedro run --pipelines image_sets"
        )
    if image_set is not None:
        if image_set not in stores:
            raise ConfigError(f"--image-set: got {image_set!r}; {must_be_one_of(image_set, stores)}")
        return find_image(image, stores[image_set])
    found: dict[str, FoundImage] = {}
    fault: DataError | None = None
    for name, store in stores.items():
        try:
            found[name] = find_image(image, store)
        except DataError as error:
            fault = fault or error
    if not found and fault is not None:
        raise fault
    digests = {each.record.digest for each in found.values()}
    if len(digests) > 1:
        raise DataError(
            f"image {image!r}: in the image sets {', '.join(found)}, with different pixels. Name one with "
            "--image-set."
        )
    # the same image in several sets: one of them may have its score
    return max(found.values(), key=lambda each: each.alignment is not None)


# --------------------------------------------------------------------------------------- paths


def catalog_path(dataset: str) -> Path:
    """Returns the absolute path of a dataset; conf/local may have moved it."""
    from pipelines.config.loader import HydraConfigLoader

    loader = HydraConfigLoader(str(PROJECT / "conf"), base_env="base", default_run_env="local")
    entry = loader["catalog"][dataset]
    return PROJECT / str(entry.get("filepath") or entry["path"])
