"""How many captions and images a set's settings ask for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stablerep.image_sets.image_set import ImageSet


def amounts_of(image_set: dict[str, Any], as_many_as: "ImageSet | None" = None) -> dict[str, int | None]:
    """Returns `num_captions`, `images_per_caption`, `num_images` and `most`; None where nothing is asked for.

    Args:
        image_set: the set's settings.
        as_many_as: the set whose number of images it is to have. A mixture has that many at most (`most`), or
            as many captions where its shares count captions: its parts may have fewer.
    """
    amounts = {
        "num_captions": image_set.get("num_captions"),
        "images_per_caption": image_set.get("images_per_caption"),
        "num_images": image_set.get("num_images"),
    }
    if as_many_as is None:
        return amounts
    if image_set.get("source") != "mixture":
        return amounts | {"num_images": len(as_many_as.images)}
    of_captions = image_set.get("shares_of") == "captions"
    most = as_many_as.images["caption_id"].nunique() if of_captions else len(as_many_as.images)
    return amounts | {"most": most}
