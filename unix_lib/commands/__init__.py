"""What `unix-lib <command>` runs: one module per command, each a thin shell over the library."""
