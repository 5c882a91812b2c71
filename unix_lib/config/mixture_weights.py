"""How often an epoch uses a source's records, whatever unit its part of the mixture is in."""

from collections.abc import Sequence

from unix_lib.config.pack import MOST_USES, MixturePart
from unix_lib.config.strict import ConfigError


def epoch_weights(mixture: str, parts: Sequence[MixturePart], tokens: Sequence[float]) -> list[float]:
    """Uses of each record per epoch, a number for each part.

    A part of so many tokens, or of a share of the epoch's, is used as often as gives them. Shares are of all tokens:
    the other parts fix how many those are; where every part has a share, as many as the scarcest source gives when each
    of its records is used once, so that nothing is repeated.

    Args:
        mixture: its name.
        tokens: of each part when each of its records is used once.

    Raises:
        ConfigError: a part is to give tokens and has none, or too few by far.
    """
    where = f"pack.mixtures.{mixture}.parts"
    for part, own in zip(parts, tokens, strict=True):
        if not part.weighted and not own:
            raise ConfigError(
                f"{where}: source {part.source} is to give tokens and has no usable training "
                "record; see what was set aside of it, or take it out of the mixture"
            )
    pairs = list(zip(parts, tokens, strict=True))
    fixed = [part.tokens or part.weight * own for part, own in pairs if part.share is None]
    shares = sum(part.share or 0 for part in parts)
    total = sum(fixed) / (1 - shares) if fixed else min(own / (part.share or 1) for part, own in pairs)
    if shares and not total:
        raise ConfigError(f"{where}: the parts without a share have no tokens; give every part a share, or others")
    weights = []
    for part, own in pairs:
        weights.append(part.weight if part.weighted else (part.tokens or (part.share or 0) * total) / own)
        if weights[-1] > MOST_USES:
            raise ConfigError(
                f"{where}: source {part.source} has {own:.0f} tokens and would be used {weights[-1]:.0f} times an "
                f"epoch, more than {MOST_USES}; lower its tokens or its share"
            )
    return weights
