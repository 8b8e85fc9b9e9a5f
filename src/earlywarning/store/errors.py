"""What an operator is told when the store cannot be used: what happened, and the way out."""

from sqlalchemy.exc import DBAPIError

WRITE_ACCESS = "give the service's user write access to the file and its folder"
# Words in a database's own message, and what a person should do about it; the first that is found counts.
_WAYS_OUT = (
    (("not a database", "malformed"), "it is not a sound database file; restore it from a backup, or name another file"),
    (("readonly", "read-only", "permission"), WRITE_ACCESS),
    (("unable to open", "no such file", "not a directory"), "check that the folder exists and may be written to"),
    (("is full", "no space", "disk full"), "free space on the disk; nothing that was accepted is lost"),
    (("disk i/o",), "check the disk and the system's log; nothing that was accepted is lost"),
    (("locked",), "another program holds the database; close it"),
    (("already exists",), "the database holds tables of something else; give the store a database of its own"),
    (("connection", "connect"), "check that the database server runs and that store.url is right"),
)


class StoreError(RuntimeError):
    """The store cannot be used; says what to do."""


class StoreLocked(StoreError):
    """Another process writes to the store; `holder` says which, when that is known."""

    def __init__(self, url: str, holder: str) -> None:
        self.holder = holder
        who = f" ({holder})" if holder else ""
        super().__init__(f"the store {url} is in use by another process{who}; stop it, or send to it over HTTP")


def advice(shown: str, error: Exception) -> str:
    """What an operator should do about a database's error. shown: the store's URL without its password."""
    cause = str(error.orig if isinstance(error, DBAPIError) else error).strip().split("\n")[0]
    low = cause.lower()
    way_out = next((way for words, way in _WAYS_OUT if any(word in low for word in words)), "see the database's own log")
    return f"store {shown}: {cause}; {way_out}"
