"""Config of the `tokenize` stage: texts of records to token ids."""

from typing import Literal

from unix_lib.config.jobs import Execution, JobShape
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key

Template = Literal["ours", "published"]


class TokenizeConfig(Execution):
    """How texts become tokens; nothing here changes which tokens they become."""

    job: JobShape = key("shape of a tokenize job", JobShape(threads=1, runtime_minutes=240), kind="operational")


class TokenizeSettings(StrictModel):
    """Tokens depend on the records, the text tokenizer and how turns are joined."""

    template: Template = key("how turns are joined")


def tokens_name(source: str, template: Template) -> str:
    """What the tokens of a source are called: like it, where its turns are joined in our template."""
    return source if template == "ours" else f"{source}-{template}"


TOKENS = JobKind(TokenizeSettings, "unix_lib.tokenize.make:make_tokens", 1)
