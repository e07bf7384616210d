"""The schema that the service publishes of itself."""

from typing import Any, Final

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from service.problems import MEDIA_TYPE, Problem

_COMPONENT = "#/components/schemas/{model}"
_PROBLEM_SCHEMA = {"$ref": _COMPONENT.format(model=Problem.__name__)}

# For FastAPI(responses=…). Not with the key `model`, since FastAPI would list it as application/json.
PROBLEM_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"description": "Any error: a problem document.", "content": {MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA}}}
}


class DocumentedApp(FastAPI):
    """An application whose published schema defines the problem document, too."""

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            _, problem = models_json_schema([(Problem, "serialization")], ref_template=_COMPONENT)
            super().openapi()["components"]["schemas"].update(problem["$defs"])
        return super().openapi()
