"""Makes a `conversations` source: a record for every usable row; a conversation that came before is set aside."""

import json
import logging

from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import REJECTED_FILE, RejectedSamples
from unix_lib.records.schema import CONVERSATION, RECORD
from unix_lib.records.shards import ShardWriter
from unix_lib.sources.conversations.kind import PlannedConversations
from unix_lib.sources.conversations.layouts import messages_of, named_columns
from unix_lib.sources.copies import Seen
from unix_lib.sources.errors import BadRow, nothing_usable
from unix_lib.sources.rows import TakenRows
from unix_lib.sources.writing import finish

DUPLICATE = "duplicate conversation"

_log = logging.getLogger(__name__)


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
    if not train.rows + heldout.rows:
        reasons = [f"{count} x {reason}" for reason, count in rejected.counts.items()]
        reasons += [f"{taken.rows_left_out} x left out by filter or fraction"] * bool(taken.rows_left_out)
        if not taken.is_one_of_several_parts():
            rejected.write(job.folder)
            remedy = "correct 'files', 'layout' or 'columns'"
            raise nothing_usable(name, "conversation", reasons, remedy, job.folder / REJECTED_FILE)
        _log.warning("sources.%s: no usable conversation in part %d (%s)", name, settings.shard, ", ".join(reasons))
    facts = {"train_records": train.rows, "heldout_records": heldout.rows} | taken.facts
    return finish(job, {**train.files, **heldout.files}, facts, rejected)
