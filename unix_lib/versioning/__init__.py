"""What of an experiment is kept in git and in DVC, and how results go to colleagues and come back."""
