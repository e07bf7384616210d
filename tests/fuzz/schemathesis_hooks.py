"""What schemathesis has to be told beside the schema."""

import json
from typing import Any
from urllib.parse import unquote

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure

SHOP, DOOMED = "shop", "doomed"


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case, **__: Any) -> None:
    """A body may repeat the id of its path, and no schema can say that it must be the same.

    The shop is not deleted, only the domain beside it: a link leads from the list of the domains to their deletion, and
    all other links led nowhere from the first time on that it was followed.
    """
    body = case.body
    if case.operation.label.startswith("PUT") and isinstance(body, dict) and isinstance(body.get("item_id"), str):
        body["item_id"] = unquote(str((case.path_parameters or {}).get("item_id", body["item_id"])))
    if case.operation.label == "DELETE /v1/admin/domains/{domain}" and case.path_parameters.get("domain") == SHOP:
        case.path_parameters["domain"] = DOOMED


@schemathesis.hook
def filter_failure(_: schemathesis.HookContext, failure: Failure, case: schemathesis.Case, __: Any) -> bool:
    """Headers that nobody knows are to be ignored; with an integer among the known ones schemathesis forgets that."""
    unknown_header = "in header - object with unexpected properties" in failure.message
    return not (isinstance(failure, AcceptedNegativeData) and unknown_header)


@schemathesis.serializer("application/x-ndjson")
def as_lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """One line, since the schema is that of a line."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()
