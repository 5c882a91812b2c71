"""The kind of source `conversations`: turns of users and assistants in the layouts of public data sets."""
