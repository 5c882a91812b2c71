"""Any model scored on any benchmarks, without an experiment around it."""
