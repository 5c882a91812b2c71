"""The decoder with layer plans, known to transformers' Auto classes once this package is imported.

Importing it imports torch.
"""

from transformers import AutoConfig, AutoModelForCausalLM

from unix_lib.models.configuration import ModelError, UnixConfig
from unix_lib.models.decoder import UnixForCausalLM, UnixOutput

AutoConfig.register("unix", UnixConfig, exist_ok=True)
AutoModelForCausalLM.register(UnixConfig, UnixForCausalLM, exist_ok=True)

__all__ = ["ModelError", "UnixConfig", "UnixForCausalLM", "UnixOutput"]
