"""Bundled registers, settings templates and demonstration data."""
