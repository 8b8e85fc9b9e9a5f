"""What a folder lists, on disk."""

import os
from pathlib import Path


def keep_folder(folder: Path) -> None:
    """Have the folder's list of files on disk: then a file that was renamed into it outlives a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
