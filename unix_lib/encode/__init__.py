"""Images to codes, joined to the records that show them only when packs are made."""
