"""The names of what lies in Redis. Keys of a domain share the hash tag ``{domain}``, and so a slot of a cluster."""

from dataclasses import dataclass

DOMAINS = "vqrec:domains"
"""Hash: domain ─► sha256 of its backbone. It binds all domains to one backbone for as long as there are any."""

STORE = "vqrec:store"
"""String: a random id by which the service knows its Redis again; written with the first domain, and never deleted."""

CONTROL = "vqrec:control"
"""Stream that says only that something changed: it wakes the reconcilers."""


@dataclass(frozen=True, slots=True)
class DomainKeys:
    """The keys of one domain."""

    domain: str

    @property
    def items(self) -> str:
        """Hash: item id ─► version, line feed, JSON record."""
        return f"vqrec:{{{self.domain}}}:items"

    @property
    def vectors(self) -> str:
        """Hash: item id ─► text vector, float16 [text_dim] little endian."""
        return f"vqrec:{{{self.domain}}}:vectors"

    def codes(self, quantizer_sha256: str) -> str:
        """Hash: item id ─► tag of the text, code under this quantiser."""
        return f"vqrec:{{{self.domain}}}:codes:{quantizer_sha256}"

    @property
    def all_codes(self) -> str:
        """A pattern for SCAN; names of domains hold no sign that it would take for a wildcard."""
        return self.codes("*")

    @property
    def changes(self) -> str:
        """Stream: what changed, in order."""
        return f"vqrec:{{{self.domain}}}:changes"

    @property
    def adapter(self) -> str:
        """Hash: the adapter that every replica shall serve, and the one before it."""
        return f"vqrec:{{{self.domain}}}:adapter"

    @property
    def fixed(self) -> tuple[str, ...]:
        """All keys but those of codes."""
        return (self.items, self.vectors, self.changes, self.adapter)


def operation_key(operation_id: str) -> str:
    """String: the JSON of an admin operation."""
    return f"vqrec:operation:{operation_id}"
