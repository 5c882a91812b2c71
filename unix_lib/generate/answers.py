"""Asks a checkpoint a benchmark's questions about images: each image encoded, each answer decoded greedily."""

import logging
from collections.abc import Sequence

import numpy as np

from unix_lib.artefacts.manifest import Manifest
from unix_lib.benchmarks.question_files import Question, read_questions
from unix_lib.benchmarks.settings import AnswerSettings
from unix_lib.benchmarks.tables import ANSWERS, ANSWERS_FILE
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.config.brought import AskingExecution
from unix_lib.config.generate import DecodingExecution
from unix_lib.generate.asked import ask_questions
from unix_lib.generate.members import asked_file, checkpoint_of, finish
from unix_lib.generate.question_prompts import question_pixels, question_prompt
from unix_lib.generate.store import SampleStore
from unix_lib.images.files import BadImage
from unix_lib.inference.batches import generate_text
from unix_lib.inference.needs import has_room
from unix_lib.inference.requests import Request, TextSampling
from unix_lib.jobs.job import Job
from unix_lib.pack.sequences import vqa_prompt_ids
from unix_lib.records.schema import Row
from unix_lib.tokenizers.coded_images import encode_images

TOO_LONG = "question too long"
log = logging.getLogger(__name__)


def make_answers(job: Job[AnswerSettings, DecodingExecution], checkpoint: Checkpoint | None = None) -> Manifest:
    """Make the answers of `generate/<run>-step-00100-<benchmark>`; a model behind an endpoint is asked there.

    Raises:
        BenchmarkError: no file. QuestionFileError: one without a usable question.
    """
    settings = job.settings
    path = asked_file(job, f"{settings.layout}.tsv")
    questions, _ = read_questions(path, settings.layout, settings.limit)  # scoring counts the rows set aside
    if isinstance(job.execution, AskingExecution):
        return ask_questions(job, questions)
    loaded = checkpoint or checkpoint_of([job])
    answers = SampleStore(job.work, ANSWERS).fill(
        questions,
        lambda batch: answer_questions(loaded, batch, settings.max_answer_tokens, settings.question_suffix),
        batch_size=job.execution.batch_size,
        name=job.recipe.name,
    )
    return finish(job, loaded, ANSWERS_FILE, answers)


def answer_questions(checkpoint: Checkpoint, questions: Sequence[Question], most_tokens: int, suffix: str) -> list[Row]:
    """Answers to a batch of questions, rows of `ANSWERS`; an image asked about several times is encoded once."""
    rows: list[Row] = [
        {
            "sample_id": question.index,
            "prompt": question_prompt(question, suffix),
            "text": "",
            "rejected": None,
            "detail": None,
        }
        for question in questions
    ]
    pixels: dict[str, np.ndarray] = {}
    for question, row in zip(questions, rows, strict=True):
        if question.image_id not in pixels:
            try:
                pixels[question.image_id] = question_pixels(question.image_bytes, checkpoint.image_tokenizer.image_size)
            except BadImage as error:
                row["rejected"], row["detail"] = error.reason, error.detail
                log.info("question %s: %s (%s)", question.index, error, error.__cause__)
    if not pixels:
        return rows
    codes = dict(zip(pixels, encode_images(checkpoint.image_tokenizer, np.stack(list(pixels.values()))), strict=True))
    usable = [index for index, row in enumerate(rows) if row["rejected"] is None]
    sampling, asked = TextSampling(most_tokens=most_tokens), dict[int, list[int]]()
    room = checkpoint.model.config.max_position_embeddings
    for index in usable:
        row, image = rows[index], codes[questions[index].image_id]
        prompt = vqa_prompt_ids(checkpoint.tokenizer, checkpoint.vocabulary, image, row["prompt"], checkpoint.wording)
        if not has_room(Request(prompt, text=sampling), checkpoint.model.config):
            row["rejected"], row["detail"] = TOO_LONG, f"{len(prompt)} tokens with its image; the model has {room}"
        else:
            asked[index] = prompt
    stops = [checkpoint.vocabulary.eos_id]
    answers = generate_text(checkpoint.engine, list(asked.values()), sampling, stop_ids=stops)
    for index, ids in zip(asked, answers, strict=True):
        rows[index]["text"] = str(checkpoint.tokenizer.decode(ids, skip_special_tokens=True)).strip()
    return rows
