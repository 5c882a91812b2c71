"""Plain text: CPython's own prose, or a user's files, cut into documents, with a cloze benchmark."""
