"""Sorts the tokens of a batch by modality and prepares every index tensor that the decoder needs.

Done once per batch, in the data loader. Tokens travel through the whole decoder in *modality order*: all text tokens
first, then all vision tokens, each in the order of the packs. The modalities are then two slices of one array, and
separated layers cost no permutation at all. Only attention needs to know documents: for each scope the batch holds
*segments* (documents, or the tokens of one modality in a document) laid out for the attention kernels in use. For
PyTorch's own they are right-padded to a common length, in a few buckets of similar length, so that plain causal
attention serves and no mask is ever built. The price is a gather and a scatter of q, k and v per layer.

Legend: T tokens of the batch, T_text + T_vision = T, R targets, S segments of a bucket, L its longest segment.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedConfig

from unix_lib.models.attention import BucketLayout, Layout
from unix_lib.models.configuration import ModelError
from unix_lib.models.gpu_attention import FlashLayout, FlexLayout, IntArray, Kernels, inverse
from unix_lib.pack.reader import Pack
from unix_lib.tokenizers.vocabulary import Vocabulary

# Segments are put in one bucket down to this share of the longest one's length ...
SHORTEST_IN_BUCKET = 0.7
# ... and those that are left join the last bucket when padding them costs at most this many slots.
SMALL_REST = 256

Batch = dict[str, Any]  # arguments of `UnixForCausalLM.forward`, see `build_batch`
Ids = TypeVar("Ids", int, npt.NDArray[Any], torch.Tensor)
VocabularyLike = Vocabulary | PreTrainedConfig  # of a decoder: both have the id ranges that routing needs


class Documents(Pack):
    """A pack that was not read from a file."""

    @classmethod
    def of(cls, documents: Sequence[Sequence[int]], loss_masks: Sequence[Sequence[bool]] | None = None) -> "Documents":
        """From lists of ids; without masks every token but a document's first is a target."""
        masks = loss_masks or [[position > 0 for position in range(len(ids))] for ids in documents]
        return cls(
            np.concatenate([np.asarray(ids, dtype=np.int32) for ids in documents]),
            np.concatenate([np.asarray(mask, dtype=bool) for mask in masks]),
            np.asarray([len(ids) for ids in documents], dtype=np.int32),
        )


def is_vision(ids: Ids, vocabulary: VocabularyLike) -> Ids:
    """Which tokens take the vision branch: image codes, separators, `<|vision_start|>` (`<|vision_end|>` is text)."""
    vision: Ids = (ids >= vocabulary.image_offset) | (ids == vocabulary.vision_start_id)
    return vision if vocabulary.separator_id is None else vision | (ids == vocabulary.separator_id)


def is_image_target(ids: IntArray, vocabulary: VocabularyLike) -> npt.NDArray[np.bool_]:
    """Which predicted tokens count as an image's: its codes and separators, not the markers around them."""
    targets: npt.NDArray[np.bool_] = is_vision(ids, vocabulary) & (ids != vocabulary.vision_start_id)
    return targets


def build_batch(packs: Sequence[Pack], vocabulary: VocabularyLike, attention: Kernels = "sdpa") -> Batch:
    """Everything `UnixForCausalLM.forward` needs for some packs, as int64 tensors unless said otherwise.

    Args:
        attention: the kernels that are to compute it; whether they can is `check_kernels`'s to say.

    Returns:
        input_ids: (T,), in modality order.
        text_positions, vision_positions: (T_text,), (T_vision,), counted from each document's start.
        joint, within: the `Layout` of each attention scope: segments are documents, or a modality's tokens in one.
        target_rows, targets: (R,), the rows that predict, and the ids they should predict.
        target_is_image: bool (R,), whether the target is an image code or a separator.
        packed_rows: (T,), the row of each token of the packs, to bring results back into their order.

    Raises:
        ModelError: an id outside the vocabulary, or document lengths that don't add up.
    """
    ids = np.concatenate([np.asarray(pack.input_ids) for pack in packs]).astype(np.int64)
    mask = np.concatenate([np.asarray(pack.loss_mask) for pack in packs]).astype(bool)
    lengths = np.concatenate([np.asarray(pack.document_lengths) for pack in packs]).astype(np.int64)
    lengths = lengths[lengths > 0]
    if len(ids) == 0:
        raise ModelError("a batch without a single token; give at least one document")
    if lengths.sum() != len(ids):
        raise ModelError(f"a pack's document_lengths add up to {lengths.sum()} of {len(ids)} tokens; pack again")
    check_ids(ids, vocabulary)

    starts = np.cumsum(lengths) - lengths
    document = np.repeat(np.arange(len(lengths)), lengths)  # (T,)
    positions = np.arange(len(ids)) - starts[document]
    vision = is_vision(ids, vocabulary)
    order = np.argsort(vision, kind="stable")  # modality order -> packed order
    packed_rows = inverse(order)
    text_count = len(ids) - int(vision.sum())

    target = mask.copy()
    target[starts] = False  # the first token of a document has nothing before it
    predicted = np.flatnonzero(target)
    batch: dict[str, npt.NDArray[Any]] = {
        "input_ids": ids[order],
        "text_positions": positions[order][:text_count],
        "vision_positions": positions[order][text_count:],
        "target_rows": packed_rows[predicted - 1],
        "targets": ids[predicted],
        "target_is_image": is_image_target(ids[predicted], vocabulary),
        "packed_rows": packed_rows,
    }
    tensors: Batch = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in batch.items()}
    tensors["joint"] = _layout(attention, document, packed_rows)
    tensors["within"] = _layout(attention, document[order] + len(lengths) * vision[order], np.arange(len(ids)))
    return tensors


def move_batch(batch: Batch, device: torch.device) -> Batch:
    """A batch of `build_batch` on a device."""
    return {name: value.to(device) for name, value in batch.items()}


def check_ids(ids: IntArray, vocabulary: VocabularyLike) -> None:
    """Refuse ids, (T,), of which one names no token.

    Raises:
        ModelError: says which, and which ids there are.
    """
    size = vocabulary.image_offset + vocabulary.codebook_size
    wrong = (ids < 0) | (ids >= size) | ((ids >= vocabulary.text_size) & (ids < vocabulary.image_offset))
    if wrong.any():
        raise ModelError(
            f"id {ids[wrong][0]} names no token: text ids are 0..{vocabulary.text_size - 1}, image codes "
            f"{vocabulary.image_offset}..{size - 1}; encode and pack again with the model's own vocabulary"
        )


def _layout(attention: Kernels, segment: IntArray, rows: IntArray) -> Layout:
    """Segments as the kernels want them.

    Args:
        segment: (T,), the segment of each token; equal values are neighbours, in the order of their positions.
        rows: (T,), the row of each of these tokens in modality order.
    """
    begins = np.flatnonzero(np.concatenate([[True], segment[1:] != segment[:-1]]))
    if attention == "flash_attention_2":
        return FlashLayout.of(begins, rows)
    return FlexLayout.of(begins, rows) if attention == "flex_attention" else _buckets(begins, rows)


def _buckets(begins: IntArray, rows: IntArray) -> BucketLayout:
    """Right-padded buckets of segments of similar length, from where segments begin, (S,)."""
    lengths = np.diff(np.append(begins, len(rows)))
    longest_first = np.argsort(-lengths, kind="stable")
    begins, lengths = begins[longest_first], lengths[longest_first]
    slots = np.empty(len(rows), dtype=np.int64)
    buckets: list[IntArray] = []  # each (S, L) of rows
    done = taken = 0
    while done < len(lengths):
        longest = int(lengths[done])
        if (len(lengths) - done) * longest <= SMALL_REST:
            end = len(lengths)
        else:
            end = int(np.searchsorted(-lengths, -SHORTEST_IN_BUCKET * longest, side="right"))
        column = np.arange(longest)
        real = column < lengths[done:end, None]  # (S, L)
        members = rows[np.where(real, begins[done:end, None] + column, 0)]
        bucket = np.where(real, members, 0)
        slots[bucket[real]] = taken + np.flatnonzero(real)
        buckets.append(bucket)
        taken += bucket.size
        done = end
    members = np.concatenate([bucket.ravel() for bucket in buckets])
    shapes = np.concatenate([bucket.shape for bucket in buckets])
    return BucketLayout(torch.from_numpy(members), torch.from_numpy(slots), torch.from_numpy(shapes))
