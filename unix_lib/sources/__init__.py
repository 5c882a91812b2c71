"""The `sources` stage: adapters that turn raw images and text into records, held-out split included."""
