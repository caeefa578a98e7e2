"""What an encoder has learned: the nearest train images of test images, and a map of test images.

The map is t-SNE of scikit-learn (L. van der Maaten and G. Hinton, JMLR 9, 2008), started from the principal
components (D. Kobak and P. Berens, Nature Communications 10, 2019), so that equal features give equal maps.
scikit-learn is installed already, and a page has room for a few hundred thumbnails, for which t-SNE takes
seconds; umap-learn and openTSNE are made for many more points, and would add compiled packages.

Legend: N train images, M test images, F features, K neighbours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from stablerep.errors import DataError
from stablerep.evaluation.knn import find_neighbours
from stablerep.evaluation.labelled_set import UNKNOWN, LabelledSet, label_column
from stablerep.reporting.gallery import scale_image
from stablerep.reporting.inline import png_address, webp_address
from stablerep.seeding import seed_of
from stablerep.storage.pixels import Pixels

Rows = npt.NDArray[np.int64]
ReadFeatures = Callable[[str], np.ndarray]  # name of a split -> its features, in the order of the table

_NUM_NEIGHBOURS = 6  # K
_NUM_SPREAD, _NUM_WORST = 8, 4  # queries that are shown
_MAX_BANK = 20_000  # train images among which neighbours are searched
_MAX_QUERIES = 2_000  # test images of which neighbours are searched
_MAX_POINTS = 400  # of the map
_PICTURE_PX = 48  # side of an image among neighbours
_MAP_PX = (1100, 780)
_THUMBNAIL_PX = 36
_MARGIN_PX = 24
_FREE = 0.7  # of a thumbnail's side: one that is nearer to a drawn one is left out
_MAX_NAMED_CLASSES = 20
_PERPLEXITY = 30.0  # scikit-learn's default
WRONG_COLOUR = "#d9541e"  # of frames: visible on light and dark backgrounds


@dataclass(frozen=True)
class Neighbour:
    """A train image near a query.

    Attributes:
        picture: data address.
        label: name of its class.
        is_right: whether the query has the same class.
    """

    picture: str
    label: str
    is_right: bool


@dataclass(frozen=True)
class Query:
    """A test image with its nearest train images.

    Attributes:
        picture: data address.
        label: name of its class.
        is_worst: whether it is shown because its neighbours have other classes.
        neighbours: arm -> its neighbours, the nearest first.
    """

    picture: str
    label: str
    is_worst: bool
    neighbours: dict[str, list[Neighbour]]


@dataclass(frozen=True)
class MapPoint:
    """An image of the map.

    Attributes:
        x, y: the upper left corner of its thumbnail, in pixels of the sheet.
        label: name of its class.
        is_wrong: whether its nearest train image has another class.
        is_drawn: whether its thumbnail is on the sheet; the others are dots.
    """

    x: int
    y: int
    label: str
    is_wrong: bool
    is_drawn: bool


@dataclass(frozen=True)
class EmbeddingMap:
    """Test images, placed near each other if an encoder finds them similar.

    Attributes:
        sheet: data address of the thumbnails, on transparent ground.
        width, height: of the sheet in pixels.
        thumbnail_px: side of a thumbnail.
        points: its images.
        names: (x, y, class) in the middle of a class's images; empty if there are too many classes.
    """

    sheet: str
    width: int
    height: int
    thumbnail_px: int
    points: list[MapPoint]
    names: list[tuple[int, int, str]]


@dataclass(frozen=True)
class LearnedSpace:
    """The page's section on what encoders have learned.

    Attributes:
        set_name: the evaluation set.
        task: whose classes are compared.
        arms: encoders, the leading one first.
        num_bank: N, train images among which neighbours are searched.
        num_queries: M, test images whose neighbours were searched.
        right_shares: arm -> share of the queries whose nearest train image has their class.
        queries: one for each of some classes, then the worst ones.
        map: of the leading arm.
    """

    set_name: str
    task: str
    arms: list[str]
    num_bank: int
    num_queries: int
    right_shares: dict[str, float]
    queries: list[Query]
    map: EmbeddingMap


def show_space(
    features: Mapping[str, ReadFeatures], labelled: LabelledSet, pixels: Pixels, task: str, seed: int
) -> LearnedSpace:
    """Finds neighbours and makes the map.

    Args:
        features: arm -> features of a split; the first arm leads: its worst queries and its map are shown.
        labelled: the evaluation set.
        pixels: its images, in the order of its table.
        task: images without a label of it are left out.
        seed: of the map.

    Raises:
        DataError: there is no arm.
    """
    if not features:
        raise DataError("learned space: got no arm; must be at least one encoder.")
    bank, queries = (
        _Part.of(labelled, "train", task, _MAX_BANK),
        _Part.of(labelled, "test", task, _MAX_QUERIES),
    )
    num = min(_NUM_NEIGHBOURS, len(bank.rows))
    leading, near = next(iter(features)), {}
    leading_features = queries.features(features[leading])
    for arm, read in features.items():
        of_queries = leading_features if arm == leading else queries.features(read)
        near[arm] = find_neighbours(bank.features(read), of_queries, num).rows
    right = {arm: bank.labels[rows] == queries.labels[:, None] for arm, rows in near.items()}
    classes = labelled.tasks[task]
    pictures = _Pictures(pixels)
    shown = [(row, False) for row in spread_queries(queries.labels, _NUM_SPREAD)]
    shown += [(row, True) for row in worst_queries(right[leading], _NUM_WORST)]

    def query(row: int, is_worst: bool) -> Query:
        neighbours = {
            arm: [
                Neighbour(pictures(bank.rows[each]), classes[bank.labels[each]], bool(is_right))
                for each, is_right in zip(rows[row], right[arm][row], strict=True)
            ]
            for arm, rows in near.items()
        }
        return Query(pictures(queries.rows[row]), classes[queries.labels[row]], is_worst, neighbours)

    points = _evenly(len(queries.rows), _MAX_POINTS)
    drawn = draw_map(
        place_points(leading_features[points], seed),
        [pictures.image(row) for row in queries.rows[points]],
        [classes[label] for label in queries.labels[points]],
        ~right[leading][points, 0],
    )
    return LearnedSpace(
        labelled.name,
        task,
        list(features),
        len(bank.rows),
        len(queries.rows),
        {arm: float(each[:, 0].mean()) for arm, each in right.items()},
        [query(row, is_worst) for row, is_worst in shown],
        drawn,
    )


@dataclass(frozen=True)
class _Part:
    """Some labelled images of a split, evenly spread over it.

    Attributes:
        split: its name.
        within: their rows in the split.
        rows: their rows in the set's table.
        labels: their classes.
    """

    split: str
    within: Rows
    rows: Rows
    labels: Rows

    @classmethod
    def of(cls, labelled: LabelledSet, split: str, task: str, most: int) -> "_Part":
        rows = labelled.rows(split)
        labels = labelled.table[label_column(task)].to_numpy()[rows]
        known = np.flatnonzero(labels != UNKNOWN)
        within = known[_evenly(len(known), most)]
        return cls(split, within, rows[within], labels[within])

    def features(self, read: ReadFeatures) -> np.ndarray:
        return np.asarray(read(self.split)[self.within])


class _Pictures:
    """Pictures of images by row of the table; each is made only once."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels
        self._made: dict[int, str] = {}

    def image(self, row: int) -> Image.Image:
        return Image.fromarray(self._pixels.read(int(row)).permute(1, 2, 0).numpy())

    def __call__(self, row: int) -> str:
        if row not in self._made:
            self._made[row] = png_address(scale_image(self.image(row), _PICTURE_PX))
        return self._made[row]


def _evenly(number: int, most: int) -> Rows:
    return np.linspace(0, number - 1, min(number, most)).round().astype(np.int64)


def spread_queries(labels_M: Rows, most: int) -> list[int]:
    """Returns the first row of each class; if there are many classes, of some that are evenly spread."""
    classes, first = np.unique(labels_M, return_index=True)
    return [int(first[each]) for each in _evenly(len(classes), most)]


def worst_queries(right_MK: npt.NDArray[np.bool_], most: int) -> list[int]:
    """Returns the rows with the fewest right neighbours, the fewest first; none where all are right."""
    number_M = right_MK.sum(axis=1)
    ordered = np.lexsort((np.arange(len(number_M)), number_M))
    return [int(row) for row in ordered[:most] if number_M[row] < right_MK.shape[1]]


def place_points(features_MF: np.ndarray, seed: int) -> npt.NDArray[np.float64]:
    """Returns (M, 2) places in [0, 1], near each other for features with a high cosine similarity.

    Args:
        features_MF: (M, F).
        seed: of t-SNE.
    """
    from sklearn.manifold import TSNE

    number = len(features_MF)
    if number < 4:
        return np.stack([np.linspace(0, 1, number), np.full(number, 0.5)], axis=1)
    tsne = TSNE(
        perplexity=min(_PERPLEXITY, (number - 1) / 3),
        init="pca" if min(features_MF.shape) > 1 else "random",
        metric="cosine",
        random_state=seed_of("embedding map", seed) % 2**32,
    )
    found = tsne.fit_transform(np.asarray(features_MF, dtype=np.float32)).astype(np.float64)
    low, high = found.min(axis=0), found.max(axis=0)
    places: npt.NDArray[np.float64] = (found - low) / np.where(high > low, high - low, 1)
    return places


def draw_map(
    places_M2: npt.NDArray[np.float64],
    images: Sequence[Image.Image],
    labels: Sequence[str],
    wrong_M: npt.NDArray[np.bool_],
) -> EmbeddingMap:
    """Draws the thumbnails of a map; one that would cover another is left out.

    Args:
        places_M2: (M, 2) in [0, 1].
        images: M.
        labels: M names of classes.
        wrong_M: whether the nearest train image has another class; such images get a frame.
    """
    sheet = Image.new("RGBA", _MAP_PX, (0, 0, 0, 0))
    side = _THUMBNAIL_PX
    room = np.array(_MAP_PX) - 2 * _MARGIN_PX - side
    corners = (np.asarray(places_M2) * room + _MARGIN_PX).round().astype(int)
    taken: list[np.ndarray] = []
    points = []
    for corner, image, label, is_wrong in zip(corners, images, labels, wrong_M, strict=True):
        is_free = all(np.abs(corner - other).max() >= _FREE * side for other in taken)
        if is_free:
            taken.append(corner)
            sheet.paste(_thumbnail(image, bool(is_wrong)), (int(corner[0]), int(corner[1])))
        points.append(MapPoint(int(corner[0]), int(corner[1]), label, bool(is_wrong), is_free))
    names = []
    for label in dict.fromkeys(labels):
        x, y = np.median(corners[[each == label for each in labels]], axis=0) + side / 2
        names.append((round(x), round(y), label))
    named = names if len(names) <= _MAX_NAMED_CLASSES else []
    return EmbeddingMap(webp_address(sheet), *_MAP_PX, side, points, named)


def _thumbnail(image: Image.Image, is_framed: bool) -> Image.Image:
    shown = image.convert("RGB").resize((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.LANCZOS)
    if is_framed:
        ImageDraw.Draw(shown).rectangle(
            (0, 0, _THUMBNAIL_PX - 1, _THUMBNAIL_PX - 1), outline=WRONG_COLOUR, width=3
        )
    return shown
