"""The server's HTTP side: its addresses, and each error in OpenAI's form."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import unix_lib
from unix_lib.serve.chat import Chat
from unix_lib.serve.endpoints import Service
from unix_lib.serve.errors import ApiError
from unix_lib.serve.images import Images
from unix_lib.serve.limits import check_key
from unix_lib.serve.streams import Gone

PAGE = Path(__file__).with_name("page.html")
# The page has its style and script in it, and needs nothing from anywhere.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:; connect-src 'self'"
)
CLOSED = 499  # for the log: whoever asked closed the connection


def make_app(service: Service) -> FastAPI:
    """The application; it has no documentation pages, as those load scripts from elsewhere."""
    app = FastAPI(title="unix-lib", version=unix_lib.__version__, openapi_url=None, docs_url=None, redoc_url=None)
    images, chat = Images(service), Chat(service)
    name, pool, page = service.serving.name, service.pool, PAGE.read_text(encoding="utf-8")
    seen = ["text"] if service.facts.image_size is None else ["text", "image"]  # what goes in, and what comes out
    model = {"id": name, "object": "model", "created": 0, "owned_by": "unix-lib"}
    model |= {"input_modalities": seen, "output_modalities": seen}

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        return await chat.answer(request)

    @app.post("/v1/images/generations")
    async def image_generations(request: Request) -> Response:
        return await images.answer(request)

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        check_key(request, service.serving.key)
        return JSONResponse({"object": "list", "data": [model]})

    @app.get("/v1/models/{asked:path}")
    async def one_model(request: Request, asked: str) -> Response:
        check_key(request, service.serving.key)
        service.check_model(asked)
        return JSONResponse(model)

    @app.get("/health")
    async def health() -> Response:
        workers = [{"alive": worker.facts is not None, "restarts": worker.restarts} for worker in pool.workers]
        well = pool.alive == len(workers)
        return JSONResponse({"status": "ok" if well else "worker_died", "workers": workers}, 200 if well else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(pool.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/")
    async def try_it() -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})

    _tell_errors(app)
    return app


def _tell_errors(app: FastAPI) -> None:
    @app.exception_handler(ApiError)
    async def told(_: Request, error: ApiError) -> Response:
        return error.response

    @app.exception_handler(HTTPException)
    async def no_such_address(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path[:200]}: {error.detail}"
        response = ApiError(error.status_code, message, code="unknown_url").response
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> Response:
        return ApiError(500, "a fault of the server; its log has more", code="internal_error").response

    async def left(_: Request, error: Any) -> Response:
        return Response(status_code=CLOSED)

    for kind in (Gone, ClientDisconnect):
        app.add_exception_handler(kind, left)
