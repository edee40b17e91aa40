"""Uploads in the place of a job's pictures, fitted to the model as the command line fits files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from sfumato.app import defaults
from sfumato.app.studio.bodies import STRICT, parse_request
from sfumato.app.studio.records import Upload
from sfumato.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

    from sfumato.app.pictures import Picture
    from sfumato.backends.model import Model

UploadId = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""SHA-256 of an upload."""


class Sent(BaseModel):
    """An upload in the place of a picture of a job."""

    model_config = STRICT

    upload: UploadId
    invert: bool = False


@dataclass(frozen=True)
class Opened:
    """An upload and its pixels."""

    sent: Sent
    name: str
    image: Image.Image
    source: dict[str, Any] | None
    """What it was made by, where it was."""

    def picture(self, shape: tuple[int, int, int]) -> Picture:
        """As a picture of this shape."""
        from sfumato.app.pictures import fit_picture

        return fit_picture(self.image, self.name, shape, invert=self.sent.invert, source=self.source)

    def mask(self, shape: tuple[int, int, int]) -> Picture:
        """As a mask for pictures of this shape."""
        from sfumato.app.pictures import fit_mask

        return fit_mask(self.image, self.name, shape, invert=self.sent.invert)


@dataclass(frozen=True)
class Fitting:
    """Finds uploads, and fits them."""

    folder: Path
    """Of the uploads' files."""
    upload: Callable[[str], Upload | None]
    """Of the store."""

    def pictures(self, fields: Mapping[str, Any], kind: str, model: Model) -> dict[str, Any]:
        """The fields of a job that name uploads, with pictures in their place; pictures as data stay what they are.

        Raises UsageError for an upload that is not there, and for a mask of another size than its image.
        """
        from sfumato.app.pictures import check_same_size

        out: dict[str, Any] = {}
        height, width = model.shape[1:]
        size, called = (width, height), "the image"
        if (image := self._opened(fields, "image")) is not None:
            size, called = image.image.size, f"the image {image.name}"
            out["image"] = image.picture(defaults.small_shape(model, min(size)) if kind == "upscale" else model.shape)
        if (reference := self._opened(fields, "reference")) is not None:
            out["reference"] = reference.picture(model.shape)
        if (mask := self._opened(fields, "mask")) is not None:
            check_same_size(mask.image.size, size, f"the mask {mask.name}", called)
            out["mask"] = mask.mask(model.shape)
        regions = fields.get("regions")
        if isinstance(regions, list):
            out["regions"] = [self._region(region, model) for region in regions]
        return out

    def _region(self, region: Any, model: Model) -> Any:
        mask = self._opened(region, "mask", "regions.") if isinstance(region, dict) else None
        return region if mask is None else {**region, "mask": mask.mask(model.shape)}

    def _opened(self, fields: Mapping[str, Any], name: str, of: str = "") -> Opened | None:
        """An upload that a field names; None where it names none."""
        from sfumato.app.provenance import made_by
        from sfumato.images import ImageError, read_image

        value = fields.get(name)
        if not isinstance(value, dict) or "upload" not in value:
            return None
        try:
            sent = parse_request(value, Sent)
        except UsageError as error:
            raise UsageError(f"{of}{name}.{error}") from error
        upload = self.upload(sent.upload)
        if upload is None:
            raise UsageError(f"{of}{name}: this picture is not there any more; bring it again")
        path = self.folder / f"{upload.id}.png"
        try:
            return Opened(sent, upload.name, read_image(path), made_by(path))
        except ImageError as error:
            raise UsageError(f"cannot read the picture {upload.name}: {error.reason}") from error
