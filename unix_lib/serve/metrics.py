"""Counts for Prometheus at /metrics, by vLLM's names, so that dashboards made for it can be used."""

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from unix_lib.serve.messages import Answer, Begun, Ended

if TYPE_CHECKING:
    from unix_lib.serve.pool import Pool

FIRST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)  # seconds
WHOLE = (0.1, 0.3, 0.5, 1, 2, 5, 10, 20, 40, 60, 120, 240, 480, 960)


class Metrics:
    """All of a server's."""

    def __init__(self, model: str) -> None:
        self.registry, self._model = CollectorRegistry(), model
        self.running = self._gauge("num_requests_running", "answers that workers make")
        self.waiting = self._gauge("num_requests_waiting", "answers that wait for a slot")
        self.cache = self._gauge("kv_cache_usage_perc", "share of the slots, and so of the caches, in use: 0 to 1")
        self.workers = self._gauge("workers_alive", "workers that answer")
        self.held = self._gauge("request_bytes_held", "bytes of bodies and pixels that requests hold")
        self.prompt_tokens = self._counter("prompt_tokens", "tokens of prompts")
        self.generation_tokens = self._counter("generation_tokens", "tokens made")
        self.success = Counter(
            "vllm:request_success",
            "answers by how they ended",
            ["model_name", "finished_reason"],
            registry=self.registry,
        )
        self.first = self._histogram("time_to_first_token_seconds", "from the request to its first token", FIRST)
        self.whole = self._histogram("e2e_request_latency_seconds", "from the request to its end", WHOLE)

    def _gauge(self, name: str, says: str) -> Gauge:
        return Gauge(f"vllm:{name}", says, ["model_name"], registry=self.registry).labels(self._model)

    def _counter(self, name: str, says: str) -> Counter:
        return Counter(f"vllm:{name}", says, ["model_name"], registry=self.registry).labels(self._model)

    def _histogram(self, name: str, says: str, buckets: tuple[float, ...]) -> Histogram:
        made = Histogram(f"vllm:{name}", says, ["model_name"], buckets=buckets, registry=self.registry)
        return made.labels(self._model)

    def watch(self, pool: "Pool") -> None:
        """Read the pool's state whenever metrics are asked for."""
        slots = pool.slots * len(pool.workers)
        self.running.set_function(lambda: sum(worker.pulse.running for worker in pool.workers))
        self.waiting.set_function(lambda: len(pool.waiting) + sum(worker.pulse.waiting for worker in pool.workers))
        # Two answers without guidance share a slot.
        self.cache.set_function(lambda: min(1.0, sum(worker.pulse.running for worker in pool.workers) / slots))
        self.workers.set_function(lambda: pool.alive)

    def run(self) -> "MeasuredRun":
        """Measure one request."""
        return MeasuredRun(self)

    def ended(self, reason: str, count: int = 1) -> None:
        """Count answers that are over."""
        self.success.labels(self._model, reason).inc(count)

    def text(self) -> bytes:
        """What Prometheus reads."""
        return generate_latest(self.registry)


class MeasuredRun:
    """One request's part in them."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics, self.began, self.heard = metrics, time.monotonic(), False

    def hear(self, message: Answer) -> None:
        """Count what a worker said."""
        if isinstance(message, Begun):
            self.metrics.prompt_tokens.inc(message.prompt_tokens)
            if not self.heard:
                self.metrics.first.observe(time.monotonic() - self.began)
            self.heard = True
        if isinstance(message, Ended):
            self.metrics.generation_tokens.inc(message.tokens)
            self.metrics.ended(message.finished)

    def failed(self) -> None:
        """Count an answer that failed."""
        self.metrics.ended("error")

    def end(self, aborted: int) -> None:
        """The request is over, `aborted` of its answers before their end."""
        if aborted:
            self.metrics.ended("abort", aborted)
        self.metrics.whole.observe(time.monotonic() - self.began)
