"""A user's own images with captions; bad samples are set aside with a reason, the rest goes on."""
