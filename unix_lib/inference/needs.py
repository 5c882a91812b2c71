"""What a request needs of an engine, and which requests no engine serves."""

from unix_lib.inference.requests import Request
from unix_lib.inference.sampling import check_guidance, check_sampling
from unix_lib.models.configuration import ModelError, UnixConfig


def is_guided(request: Request) -> bool:
    """Whether an unconditional branch runs beside the request."""
    return request.image is not None and request.image.guidance_scale != 1.0


def image_steps(config: UnixConfig) -> int:
    """Tokens that are fed back while an image is drawn: its codes and separators before the last code."""
    before, every = int(config.codes_per_image) - 1, config.separator_every
    return before + (before // every if every else 0)


def tokens_needed(request: Request, config: UnixConfig) -> int:
    """Positions of the longer branch of a request, at most."""
    drawn = 0 if request.image is None else image_steps(config)
    free = len(request.unconditional) + drawn if is_guided(request) else 0
    if request.text is None:
        return max(len(request.prompt) + drawn, free)
    # The last text token is not fed; an image's last code, a separator and the marker that closes it are.
    images = request.images * (drawn + 3) if request.image is not None else 0
    return max(len(request.prompt) + request.text.most_tokens - 1 + images, free)


def has_room(request: Request, config: UnixConfig) -> bool:
    """Whether a request has room in the model's positions."""
    return tokens_needed(request, config) <= config.max_position_embeddings


def check_request(request: Request, config: UnixConfig) -> None:
    """Refuse a request that can't be served.

    Raises:
        ModelError: a prompt that is empty, too long for the model's positions, or without the marker that an image
            begins with; or sampling settings without meaning.
    """
    for sampling in (request.text, request.image):
        if sampling is not None:
            check_sampling([request.seed], sampling.temperature, sampling.top_k, sampling.top_p)
    if request.image is not None:
        check_guidance(request.image.guidance_scale)
    if not request.prompt:
        raise ModelError("an empty prompt can't be continued; give at least one token")
    start = config.vision_start_id
    opened = [request.prompt] if request.text is None else []
    for ids in [*opened, request.unconditional] if is_guided(request) else opened:
        if not ids or ids[-1] != start:
            raise ModelError(
                f"a prompt for an image must end with <|vision_start|> (id {start}), not with "
                f"{ids[-1] if ids else 'nothing'}"
            )
    if is_guided(request) and request.text is not None and len(request.unconditional) < 2:
        raise ModelError("guidance within a text needs an unconditional prompt with more than <|vision_start|>")
    needed, positions = tokens_needed(request, config), config.max_position_embeddings
    if not has_room(request, config):
        own = len(request.prompt)
        raise ModelError(
            f"a prompt of {own} tokens and {needed - own} new ones exceed the model's {positions} positions; shorten "
            "the prompt or ask for fewer tokens"
        )
