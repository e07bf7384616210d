"""What is wrong with a Redis URL, found before anything is started, in words that repeat no part of it."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

_SCHEMES = ("redis", "rediss", "unix")
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_CERT_REQS = ("none", "optional", "required")
# Whatever else redis-py would take from a URL there wins over what the service has set, its timeouts among it.
_OPTIONS = {"db", "client_name", "username", "password"}
_TLS_OPTIONS = {*_FILES, "ssl_ca_path", "ssl_password", "ssl_cert_reqs", "ssl_check_hostname"}

_ESCAPES = "in a user or password, / is written %2F, ? is %3F, # is %23 and @ is %40"
_MOST_PORTS = 65535


def url_fault(url: str) -> str | None:
    """Why the service cannot use it; None if it can. That Redis answers there is not looked at."""
    fault = _spelling_fault(url)
    if fault is not None:
        return fault
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"its host cannot be read: an IPv6 address stands in brackets, and {_ESCAPES}"
    options = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    place = _socket_fault(parts) if parts.scheme == "unix" else _host_fault(parts)
    return place or _options_fault(parts.scheme, options)


def _spelling_fault(url: str) -> str | None:
    scheme, found, _ = url.partition("://")
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        return "it holds white space or a control character, perhaps a line feed at its end"
    if found and "sentinel" in scheme.lower():
        return "Redis Sentinel is not spoken: name the primary, or a proxy that follows it"
    if found and "cluster" in scheme.lower():
        return "Redis Cluster is not spoken: name a single server"
    if not found or scheme.lower() not in _SCHEMES:
        return "it must begin with redis://, rediss:// or unix://"
    return f"it holds a #: {_ESCAPES}" if "#" in url else None


def _socket_fault(parts: SplitResult) -> str | None:
    if parts.netloc.rpartition("@")[2]:
        return "the path of a socket is absolute: unix:///run/redis.sock, with three slashes"
    return None if parts.path.strip("/") else "it names no socket: unix:///run/redis.sock"


def _host_fault(parts: SplitResult) -> str | None:
    if "@" in parts.path + parts.query:
        return f"it holds an @ behind the host: {_ESCAPES}"
    if "," in parts.netloc.rpartition("@")[2]:
        return "it names several servers: the service speaks to one"
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port is not None and not 1 <= port <= _MOST_PORTS:
        return f"its port is no number from 1 to {_MOST_PORTS}; {_ESCAPES}"
    if not parts.hostname:
        return "it names no host"
    if not re.fullmatch(r"/?|/\d{1,9}", parts.path, re.ASCII):
        return "behind the host it may have / and the number of a database, and nothing else"
    return None


def _options_fault(scheme: str, options: Mapping[str, str]) -> str | None:
    if not options.keys() <= _OPTIONS | _TLS_OPTIONS:
        return f"of options it may have {', '.join(sorted(_OPTIONS | _TLS_OPTIONS))}: the service sets all others"
    if scheme != "rediss" and options.keys() & _TLS_OPTIONS:
        return "options of TLS (ssl_…) need rediss://"
    if not re.fullmatch(r"\d{1,9}", options.get("db", "0"), re.ASCII):
        return "its option db is no number of a database"
    if options.get("ssl_cert_reqs", "required") not in _CERT_REQS:
        return f"its option ssl_cert_reqs must be one of {', '.join(_CERT_REQS)}"
    missing = [name for name in _FILES if name in options and not Path(options[name]).is_file()]
    return f"there is no file where its option {missing[0]} points to" if missing else None
