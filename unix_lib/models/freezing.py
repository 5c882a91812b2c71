"""Chooses by name which of a decoder's tensors are trained."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from unix_lib.models.configuration import ModelError
from unix_lib.models.decoder import UnixForCausalLM


def freeze(model: UnixForCausalLM, patterns: Sequence[str]) -> list[str]:
    """Stop training the tensors whose names match a pattern; the names of those that stay trainable, in order.

    Args:
        patterns: shell patterns of whole names, such as `model.layers.*.mlp.*`.

    Raises:
        ModelError: a pattern that matches nothing, or patterns that leave nothing to train.
    """
    parameters = dict(model.named_parameters())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in parameters):
            tied = " (it is tied to model.embed_tokens.weight)" if fnmatchcase("lm_head.weight", pattern) else ""
            raise ModelError(
                f"freeze: pattern '{pattern}' matches no tensor{tied}; names are like {next(iter(parameters))} and "
                f"{next(reversed(parameters))}, and '*' stands for any part of one"
            )
    trainable = []
    for name, parameter in parameters.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            parameter.requires_grad_(False)
        else:
            trainable.append(name)
    if not trainable:
        raise ModelError(f"freeze: patterns {', '.join(patterns)} leave no tensor to train; remove one")
    return trainable
