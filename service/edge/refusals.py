"""The answer to a request that is refused before anything is done for it: the bytes of a problem document."""

from http import HTTPStatus

from models.errors import VqrecError
from service.problems import MEDIA_TYPE, Problem, headers_of, problem_type
from service.security import EVERY_ANSWER

Headers = list[tuple[bytes, bytes]]

_LONGEST_PATH = 1000


class Refusal:
    """One way to be refused.

    Args:
        reason: what it is counted as.
        error: what the client is told.
        closes: whether the connection ends with it.
    """

    def __init__(self, reason: str, error: VqrecError, closes: bool = False) -> None:
        self.reason, self.error, self.closes = reason, error, closes
        more = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers_of(error).items())
        status = HTTPStatus(error.status)
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{more}content-type: {MEDIA_TYPE}\r\n".encode()
        self._head = head + b"".join(b"%b: %b\r\n" % header for header in EVERY_ANSWER)

    def answer(self, path: str, request_id: str, headers: Headers, closes: bool, has_body: bool = True) -> bytes:
        """The whole answer.

        Args:
            path: what was asked for.
            request_id: of the request.
            headers: that every answer of the server carries.
            closes: whether the connection ends with it.
            has_body: False for what answers HEAD.
        """
        body = self._document(path, request_id)
        parts = [self._head]
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        if closes and not any(name == b"connection" for name, _ in headers):
            parts.append(b"connection: close\r\n")
        parts.append(b"x-request-id: %b\r\ncontent-length: %d\r\n\r\n" % (request_id.encode(), len(body)))
        if has_body:
            parts.append(body)
        return b"".join(parts)

    def _document(self, path: str, request_id: str) -> bytes:
        error = self.error
        problem = Problem(
            type=problem_type(error.slug),
            title=error.title,
            status=error.status,
            detail=error.detail,
            instance=path[:_LONGEST_PATH],
            request_id=request_id,
        )
        return problem.model_dump_json(exclude_none=True).encode()
