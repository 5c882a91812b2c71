"""Makes the perceptual hashes of the images of a part of a source."""

import pyarrow as pa

from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.images.files import BadImage
from unix_lib.images.perceptual import perceptual_hash
from unix_lib.jobs.job import Job
from unix_lib.records.shards import ShardWriter
from unix_lib.sources.in_place.reading import Images, decoded
from unix_lib.sources.screening.settings import HashSettings
from unix_lib.sources.writing import finish

HASHES = "hashes"  # shards `hashes-00000.parquet`
HASH = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("hash", pa.uint64()),  # null of a blank image, and of one that can't be decoded, as encoding tells
    ]
)
READ_AT_ONCE = 1024


def make_hashes(job: Job[HashSettings, Execution]) -> Manifest:
    """Make a part of `sources/<source>-hashes`; of images whose codes came with them there are none."""
    [folder] = job.inputs("images")
    images = Images(folder, image_size=0)
    without = 0
    with ShardWriter(job.folder, HASHES, HASH) as writer:
        for chunk in images.chunks(READ_AT_ONCE):
            hashes = decoded(chunk.read_all(), perceptual_hash, job.shape.threads)
            known = [None if isinstance(one, BadImage) else one for one in hashes]
            without += known.count(None)
            writer.write_table(pa.table([pa.array(chunk.ids), pa.array(known, pa.uint64())], schema=HASH))
    return finish(job, dict(writer.files), {"images": writer.rows, "images_without_hash": without})
