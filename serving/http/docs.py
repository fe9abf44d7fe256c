"""The API's page: Swagger UI served from our own files; the browser loads nothing from anywhere else.

The content security policy enforces that, whatever the page's scripts try.
"""

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from swagger_ui_bundle import swagger_ui_path

from serving.http.auth import public
from serving.http.errors import ProblemCode, Refused

router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])

_ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Kairos API</title>
<link rel="icon" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<main id="api"></main>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/docs/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis], supportedSubmitMethods: ["get", "post", "put", "patch", "delete"],
});
"""


@router.get("/")
async def index() -> Response:
    """Lead a browser to the page."""
    return RedirectResponse("/docs", status_code=307)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """Return the OpenAPI 3.1 document."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def page() -> Response:
    """Return the page."""
    return HTMLResponse(_PAGE, headers={"content-security-policy": _POLICY})


@router.get("/docs/start.js")
async def start() -> Response:
    """Return the script that starts the page; inline it would need a weaker policy."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/assets/{name}")
async def asset(name: str) -> Response:
    """Return one of the page's files."""
    if name not in _ASSETS:
        raise Refused(ProblemCode.NOT_FOUND, "The page has no such file.")
    return FileResponse(swagger_ui_path / name, headers={"cache-control": "max-age=3600"})


@router.get("/docs/openapi.json")
async def readable(request: Request) -> Response:
    """Return the OpenAPI document as the bundled Swagger UI 4 reads it: the same operations in 3.0's words."""
    return JSONResponse(as_3_0(request.app.openapi()) | {"openapi": "3.0.3"})


def as_3_0(schema: Any) -> Any:
    """Return an OpenAPI 3.1 document, or a part of it, in the words of 3.0: nullable, enum, boolean bounds."""
    if isinstance(schema, list):
        return [as_3_0(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        # The keys of these are names somebody chose, which may be words of the language too.
        name: {key: as_3_0(each) for key, each in value.items()} if name in ("properties", "schemas") else as_3_0(value)
        for name, value in schema.items()
        if name not in ("examples", "const", "anyOf")
    }
    if "const" in schema:
        plain["enum"] = [schema["const"]]
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(bound), (int, float)):
            plain |= {bound: True, limit: schema[bound]}
    return plain | _choices(schema.get("anyOf"))


def _choices(alternatives: Any) -> dict[str, Any]:
    if not isinstance(alternatives, list):
        return {} if alternatives is None else {"anyOf": as_3_0(alternatives)}
    kinds: list[dict[str, Any]] = [as_3_0(each) for each in alternatives if each != {"type": "null"}]
    null = {"nullable": True} if len(kinds) < len(alternatives) else {}
    if len(kinds) == 1 and "$ref" not in kinds[0]:
        return kinds[0] | null
    return {"allOf" if len(kinds) == 1 else "anyOf": kinds} | null
