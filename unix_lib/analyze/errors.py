"""What a user can mend in an analysis."""

from unix_lib.artefacts.errors import UserError


class AnalysisError(UserError):
    """An analysis that its inputs or settings do not allow."""
