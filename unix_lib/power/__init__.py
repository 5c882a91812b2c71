"""Power before spending: which differences a planned experiment could decide, from what finished ones varied."""
