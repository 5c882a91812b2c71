"""Images to codes: a source's records with `image_codes` where `image` was."""
