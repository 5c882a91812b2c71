"""The engine of inference: requests come and go, share steps, and give text and images."""
