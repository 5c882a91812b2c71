"""The project's own kinds of analysis, a line each."""

KINDS = {
    "caption_samples": "unix_lib.analyze.caption_samples_kind",
    "conflict": "unix_lib.analyze.conflict_kind",
    "document_losses": "unix_lib.analyze.document_losses_kind",
    "entropy": "unix_lib.analyze.entropy_kind",
    "heldout_loss": "unix_lib.analyze.heldout_loss_kind",
    "power_spectrum": "unix_lib.analyze.power_spectrum_kind",
    "reconstructions": "unix_lib.analyze.reconstructions_kind",
    "text_cost": "unix_lib.analyze.text_cost_kind",
}
