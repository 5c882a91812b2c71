"""A server of one checkpoint in OpenAI's form: an HTTP process without torch, and workers that run the engine."""
