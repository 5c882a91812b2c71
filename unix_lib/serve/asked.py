"""From an order to what the engine is asked. Importing this imports torch."""

from dataclasses import replace

from unix_lib.chat.assistant import Assistant, Message
from unix_lib.inference.needs import tokens_needed
from unix_lib.inference.requests import Request, TextSampling
from unix_lib.serve.messages import ChatOrder, Order


def request_of(assistant: Assistant, order: Order) -> Request:
    """A request of the assistant's engine.

    Raises:
        ModelError: there is nothing to answer.
    """
    if not isinstance(order, ChatOrder):
        return assistant.image_request(order.prompt, seed=order.seed, **order.sampling)
    image = None if order.image is None else assistant.sampling.model_copy(update=order.image)
    said = [Message(turn.role, turn.parts) for turn in order.turns]
    text = TextSampling(**order.text)
    request = assistant.chat_request(said, text=text, image=image, seed=order.seed)
    # A client's max_tokens is often above what there is room for: the answer then ends with "length".
    config = assistant.model.config
    above = max(0, tokens_needed(request, config) - config.max_position_embeddings)
    return replace(request, text=replace(text, most_tokens=max(1, text.most_tokens - above)))
