"""HTTP as the web server reads it, but for one answer: what could not be read for lack of memory is not the sender's fault."""

import sys

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_WORDS = b'{"problem":"nothing of it was taken: the service is short of memory; send it again, in smaller batches"}'
_SHORT = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 10\r\nconnection: close\r\n"
    b"content-length: " + str(len(_WORDS)).encode() + b"\r\n\r\n" + _WORDS
)


class HttpProtocol(HttpToolsProtocol):
    """To a supplier 400 means: never send this again. So it must not stand for a body that the service had no room for."""

    def send_400_response(self, msg: str) -> None:
        """Called while the parser's error is handled; what it failed on is that error's context."""
        error = sys.exc_info()[1]
        if isinstance(error, MemoryError) or (error is not None and isinstance(error.__context__, MemoryError)):
            self.transport.write(_SHORT)
            self.transport.close()
        else:
            super().send_400_response(msg)
