"""What clients may ask. Keys that nobody here knows are passed over, as clients send many; keys that would have to
change an answer and can't be honoured are refused by name.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

Seed = Annotated[int, Field(ge=0, lt=2**64)]
Count = Annotated[int, Field(ge=1)]


class Asked(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)
    # Keys that can't be honoured, and their values that ask for nothing.
    UNSUPPORTED: ClassVar[dict[str, tuple[Any, ...]]] = {}

    model: str | None = None
    stream: bool | None = None
    n: Count | None = None
    seed: Seed | None = None
    guidance_scale: float | None = Field(None, ge=0, le=100)
    temperature: float | None = Field(None, ge=0, le=100)
    top_k: int | None = Field(None, ge=0, le=1_000_000)
    top_p: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unsupported(cls, values: Any) -> Any:
        for name, harmless in cls.UNSUPPORTED.items():
            value = values.get(name) if isinstance(values, dict) else None
            if value is not None and value not in harmless:
                raise PydanticCustomError("unsupported", "{name} is not supported here", {"name": name})
        return values

    @property
    def slim(self) -> Self:
        """The same without what orders were made of, which may be large."""
        return self

    def given(self, *names: str) -> dict[str, Any]:
        """Those of the named fields that the client has set."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class ImagesAsked(Asked):
    """A body of /v1/images/generations."""

    UNSUPPORTED = {"negative_prompt": ("",), "response_format": ("b64_json",), "background": ("auto", "opaque")}

    prompt: str = Field(min_length=1)
    size: str | None = None
    output_format: Literal["png", "jpeg", "webp"] | None = None
    partial_images: int | None = Field(None, ge=0, le=3)

    @field_validator("prompt")
    @classmethod
    def _not_blank(cls, prompt: str) -> str:
        if not prompt.strip():
            raise PydanticCustomError("blank", "an image needs a prompt")
        return prompt


class ImageAddress(BaseModel):
    """Where an image is: a data URL, or an address of an allowed domain."""

    url: str


class Part(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(strict=True)

    type: str
    text: str | None = None
    image_url: ImageAddress | None = None

    @model_validator(mode="after")
    def _has_what_it_says(self) -> "Part":
        if self.type not in ("text", "image_url"):
            raise PydanticCustomError("part", "parts are of type text or image_url")
        if getattr(self, self.type) is None:
            raise PydanticCustomError("missing", "a part of type {type} needs {type}", {"type": self.type})
        return self


class MessageAsked(BaseModel):
    """A turn; an answer with images can be sent back as it came."""

    model_config = ConfigDict(strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: list[Part] = Field([], validate_default=True)
    images: list[Part] = []

    @field_validator("content", mode="before")
    @classmethod
    def _as_parts(cls, content: Any) -> Any:
        if content is None:
            return []
        return [{"type": "text", "text": content}] if isinstance(content, str) else content

    @property
    def placed_parts(self) -> list[tuple[str, Part]]:
        """All parts, and where each stands."""
        kinds = {"content": self.content, "images": self.images}
        return [(f"{kind}[{place}]", part) for kind, parts in kinds.items() for place, part in enumerate(parts)]


class StreamOptions(BaseModel):
    """What a stream says at its end."""

    include_usage: bool = False


class ChatAsked(Asked):
    """A body of /v1/chat/completions."""

    UNSUPPORTED = {
        "tools": ([],),
        "functions": ([],),
        "tool_choice": ("none", "auto"),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "frequency_penalty": (0,),
        "presence_penalty": (0,),
        "repetition_penalty": (1,),
        "logit_bias": ({},),
        "audio": (),
        "response_format": ({"type": "text"},),
    }

    messages: list[MessageAsked] = Field(min_length=1)
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    min_tokens: int = Field(1, ge=0)  # as vLLM has it, but not 0: clients try a server with a question, and refuse ""
    stop: list[str] | None = Field(None, max_length=4)
    modalities: list[Literal["text", "image"]] | None = None
    stream_options: StreamOptions | None = None

    @property
    def slim(self) -> Self:
        return self.model_copy(update={"messages": []})

    @field_validator("stop", mode="before")
    @classmethod
    def _as_list(cls, stop: Any) -> Any:
        return [stop] if isinstance(stop, str) else stop

    @field_validator("stop")
    @classmethod
    def _not_empty(cls, stop: list[str] | None) -> list[str] | None:
        if stop and "" in stop:
            raise PydanticCustomError("empty", "a stop must not be empty")
        return stop
