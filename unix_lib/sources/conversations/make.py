"""Makes a `conversations` source: a record for every usable row; a conversation that came before is set aside."""

import json

from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import CONVERSATION, RECORD
from unix_lib.records.shards import ShardWriter
from unix_lib.sources.conversations.kind import PlannedConversations
from unix_lib.sources.conversations.layouts import messages_of, named_columns
from unix_lib.sources.copies import Seen
from unix_lib.sources.errors import BadRow
from unix_lib.sources.rows import TakenRows, require_usable
from unix_lib.sources.writing import finish

DUPLICATE = "duplicate conversation"


def make_records(job: Job[PlannedConversations, Execution]) -> Manifest:
    """Make a part of `sources/<source>`.

    Raises:
        SourceError: no usable conversation, unless other parts may have some, or a pattern that matches no file.
    """
    settings, name = job.settings, job.settings.source
    rejected = RejectedSamples()
    taken = TakenRows(settings, job.outside, rejected)
    columns, seen = named_columns(settings.layout, settings.columns), Seen()
    with ShardWriter(job.folder, "train", RECORD) as train, ShardWriter(job.folder, "heldout", RECORD) as heldout:
        for path, file in taken.files():
            for place, row in taken.rows(path, file, [], columns):
                try:
                    messages = messages_of(row.values, settings.layout, settings.columns)
                except BadRow as fault:
                    rejected.add(place, place, fault.reason, fault.detail)
                    continue
                content = json.dumps([[turn["role"], turn["content"]] for turn in messages], ensure_ascii=False)
                if seen.before(content):
                    rejected.add(place, place, DUPLICATE)
                    continue
                writer = heldout if settings.held_out.holds_out(content) else train
                writer.write({"sample_id": place, "kind": CONVERSATION, "messages": messages, "source": name})
    require_usable(
        job,
        train.rows + heldout.rows,
        taken,
        rejected,
        what="conversation",
        remedy="correct 'files', 'layout' or 'columns'",
    )
    facts = {"train_records": train.rows, "heldout_records": heldout.rows} | taken.facts
    return finish(job, {**train.files, **heldout.files}, facts, rejected)
