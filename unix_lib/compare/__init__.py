"""Two experiments, or two states of one, side by side: settings, scores, losses, conflict, entropies, claims."""
