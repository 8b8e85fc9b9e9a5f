"""The action plan's outside: reading and writing its files, and the yearly follow-up as page and PDF."""
