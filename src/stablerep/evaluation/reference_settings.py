"""Settings of the references: the section `references` of the configuration."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from stablerep.settings import SettingError, Settings

# Keys that only one kind takes.
_OWN_KEYS = {"model": "pretrained", "weights": "pretrained", "num_components": "raw_pixels"}


class ReferenceSettings(Settings):
    """What arms are compared with: an encoder that no arm trains."""

    section: ClassVar[str] = "references.<name>"

    kind: Literal["pretrained", "untrained", "raw_pixels"] = Field(
        "pretrained",
        description="a timm model with weights of your own; the arms' encoder as its training starts; or the "
        "pixels of a small image",
    )
    model: str | None = Field(
        None, description="timm's name, with or without a tag: vit_small_patch16_dinov3.lvd1689m"
    )
    weights: str | None = Field(
        None,
        description="a safetensors file, or a folder with one, as downloaded from a model hub; relative to "
        "the project or absolute",
    )
    num_components: int | None = Field(
        None,
        ge=1,
        le=3072,
        description="principal components of the train images' pixels, at most; null takes the pixels",
    )

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        for name, kind in _OWN_KEYS.items():
            value = getattr(self, name)
            if value is not None and self.kind != kind:
                raise SettingError(name, f"got {value!r}; must be null for kind: {self.kind}")
        if self.kind == "pretrained":
            for name in ("model", "weights"):
                if not getattr(self, name):
                    raise SettingError(name, f"got {getattr(self, name)!r}; must be given for a timm model")
        return self
