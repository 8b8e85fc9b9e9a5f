"""The analyst's bench: what is tried, trained and checked ahead of time, on the same core as the live service."""
