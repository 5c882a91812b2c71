"""A finished checkpoint named on the command line, with the tokenizers it was trained with."""

from pathlib import Path
from typing import TYPE_CHECKING

from unix_lib.artefacts.manifest import MANIFEST, open_artefact
from unix_lib.artefacts.recipe import RecipeError, recipe_of
from unix_lib.checkpoints.errors import CheckpointError, NoImages
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.config.generate import Wording
from unix_lib.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from unix_lib.tokenizers.image import ImageTokenizer

# Roles of the recipes between a checkpoint and its image tokenizer; of `codes:photos` the part before the colon.
TOWARDS_THE_IMAGE_TOKENIZER = ("start", "pack", "codes", "image_tokenizer")


def checkpoint_folder(folder: Path) -> Path:
    """The checkpoint's artefact, its files checked.

    Args:
        folder: `results/<experiment>/train/<run>-step-<step>-<digest>`, a link to it, or its `model` folder.

    Raises:
        CheckpointError: no checkpoint there. ArtefactError: a damaged one.
    """
    artefact = folder.resolve()
    artefact = artefact.parent if artefact.name == "model" else artefact
    if not (artefact / MANIFEST).is_file() or not (artefact / "model" / "config.json").is_file():
        brought = " or, of one from elsewhere, what `unix-lib import` makes of it" * (folder / "config.json").is_file()
        raise CheckpointError(
            f"{folder}: no finished checkpoint here; give results/<experiment>/current/train/<run>-step-<step>{brought}"
        )
    open_artefact(artefact)
    return artefact


def open_checkpoint(
    folder: Path,
    image_tokenizer: Path | None,
    batch_size: int,
    device: str,
    *,
    with_images: bool | None,
    **decoding: bool,
) -> Checkpoint:
    """A checkpoint ready to generate.

    Args:
        image_tokenizer: artefact `tokenizers/image`; None finds the one behind the checkpoint's data.
        with_images: whether an image tokenizer is needed; None needs one unless the checkpoint saw text only.
        device: `cpu`, `cuda` or `auto`, which takes a GPU where there is one.
        decoding: `batch_invariant`, `cuda_graph`, see `Checkpoint`.

    Raises:
        CheckpointError: no checkpoint there, no image tokenizer behind it or one with other codes, or no such device.
        ArtefactError: a damaged artefact.
    """
    artefact = checkpoint_folder(folder)
    if with_images is not False and image_tokenizer is None:
        try:
            image_tokenizer = image_tokenizer_of(artefact)
        except NoImages:
            if with_images:
                raise
    device = usable(device)
    checkpoint = Checkpoint(artefact, image_tokenizer, batch_size, device, wording_of(artefact), **decoding)
    if image_tokenizer is not None and with_images is not False:
        open_artefact(image_tokenizer)
        require_same_codes(checkpoint.image_tokenizer, checkpoint.vocabulary)
    return checkpoint


def usable(device: str) -> str:
    """`cpu` or `cuda`, which `auto` takes where there is a GPU.

    Raises:
        CheckpointError: no such device here.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise CheckpointError(f"device {device} is not usable here; give cpu, or auto")
    return device


def wording_of(checkpoint: Path) -> Wording:
    """How the mixture that a checkpoint was trained on puts its documents; the usual way where it isn't found.

    Of an imported one whoever imported it said so.
    """
    try:
        recipe = recipe_of(checkpoint)
        if "wording" in recipe.settings:
            return Wording.model_validate(recipe.settings["wording"])
        (pack,) = recipe.in_role("pack")
        mixture = recipe_of(checkpoint.parent.parent / pack).settings
    except (RecipeError, ValueError):
        return Wording()
    known = {name: mixture[name] for name in ("template", "image_size") if name in mixture}
    return Wording(language=mixture.get("instruction_languages", ["en"])[0], **known)


def require_same_codes(tokenizer: "ImageTokenizer", vocabulary: Vocabulary) -> None:
    """Refuse an image tokenizer that makes other codes than a checkpoint knows.

    Raises:
        CheckpointError: says how many of how many codes each has.
    """
    found = (tokenizer.codes_per_image, tokenizer.codebook_size)
    wanted = (vocabulary.codes_per_image, vocabulary.codebook_size)
    if found != wanted:
        raise CheckpointError(
            f"the image tokenizer makes {found[0]} codes of {found[1]} an image, the checkpoint knows {wanted[0]} of "
            f"{wanted[1]}; leave --image-tokenizer out, or name the one of the checkpoint's own experiment"
        )


def image_tokenizer_of(checkpoint: Path) -> Path:
    """The image tokenizer behind a checkpoint's data, found through the recipes that artefacts carry.

    Raises:
        NoImages: nothing it was made from had images. CheckpointError: what it was made from is not beside it.
    """
    results, found, packed = checkpoint.parent.parent, [checkpoint], False
    for artefact in found:
        if not artefact.is_dir():
            raise _untraceable(checkpoint, f"{artefact} is not there")
        try:
            recipe = recipe_of(artefact)
        except RecipeError:
            if artefact != checkpoint:
                raise
            # Its files were just checked, so it was copied under another name; nothing here is to be deleted.
            raise _untraceable(checkpoint, "the folder has not the name of its recipe") from None
        if (recipe.stage, recipe.name) == ("tokenizers", "image"):
            return artefact
        packed |= recipe.stage == "pack"
        roles = [role for role in recipe.inputs if role.partition(":")[0] in TOWARDS_THE_IMAGE_TOKENIZER]
        upstream = [results / name for role in roles for name in recipe.in_role(role)]
        found += [folder for folder in upstream if folder not in found]
    kind = NoImages if packed else CheckpointError  # of one from elsewhere nobody here knows what it saw
    raise kind(f"{checkpoint}: nothing it was made from had images; name one with --image-tokenizer")


def _untraceable(checkpoint: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"{checkpoint}: what it was made from can't be found ({why}), as after copying a checkpoint; name the image "
        "tokenizer that it was trained with by --image-tokenizer"
    )
