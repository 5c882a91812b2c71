"""The decoder with layer plans. Importing this registers it with transformers' Auto classes (and imports torch)."""

from transformers import AutoConfig, AutoModelForCausalLM

from unix_lib.models.configuration import ModelError, UnixConfig
from unix_lib.models.decoder import UnixForCausalLM, UnixOutput

AutoConfig.register("unix", UnixConfig, exist_ok=True)
AutoModelForCausalLM.register(UnixConfig, UnixForCausalLM, exist_ok=True)

__all__ = ["ModelError", "UnixConfig", "UnixForCausalLM", "UnixOutput"]
