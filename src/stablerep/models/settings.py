"""Settings of the networks that are trained: the section `encoder` of the configuration."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from stablerep.settings import SettingError, Settings, Target


class HeadSettings(Settings):
    """The projection head: three layers."""

    section: ClassVar[str] = "encoder.head"

    hidden_dim: int = Field(512, ge=1, description="4096 in the authors' code")
    out_dim: int = Field(128, ge=1, description="256 in the authors' code")
    kind: Literal["stablerep", "moco_v3"] = Field(
        "moco_v3",
        description="how it ends: stablerep in a linear layer with bias, as the authors' code does; "
        "moco_v3 in a BatchNorm without affine",
    )
    batch_norm: Literal["global", "per_view"] = Field("global", description="per_view in the authors' code")


class TextSettings(Settings):
    """The text tower of the methods that have one."""

    section: ClassVar[str] = "encoder.text"

    width: int = Field(128, ge=1)
    num_layers: int = Field(2, ge=1)
    num_heads: int = Field(4, ge=1)
    out_dim: int = Field(128, ge=1)
    tokenizer_folder: str | None = Field(
        None,
        description="of a CLIP tokenizer, relative to the project or absolute; null learns one from the "
        "captions of the arm's image set",
    )
    max_tokens: int = Field(
        64, ge=3, le=1024, description="of a caption, start and end included, of a tokenizer that is learned"
    )

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.width % self.num_heads:
            raise SettingError(
                "num_heads", f"got {self.num_heads!r}; must divide encoder.text.width = {self.width}"
            )
        return self


class EncoderSettings(Settings):
    """The encoder that is trained, its projection head, and its text tower."""

    section: ClassVar[str] = "encoder"

    backbone: Target = Field(description="as `stablerep.models.encoders.build_encoder` takes it")
    head: HeadSettings = Field(default_factory=HeadSettings)
    text: TextSettings = Field(default_factory=TextSettings)
