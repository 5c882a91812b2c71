"""Where jobs go: what this site's cluster is told and asked, and machines without a scheduler."""
