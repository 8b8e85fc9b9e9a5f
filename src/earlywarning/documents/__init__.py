"""The document kit: what a municipality must have on paper about the service, made from the settings and the store as they are."""

from earlywarning.documents.kit import KINDS, make_documents

__all__ = ["KINDS", "make_documents"]
