"""The command pcgen: one file per sub-command, thin."""
