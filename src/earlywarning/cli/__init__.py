"""The command `earlywarning`: for operators, analysts and suppliers."""

import os

# Many small matrix products: a second thread of the linear algebra costs its time and gains none. Before numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from earlywarning.cli.app import main

__all__ = ["main"]
