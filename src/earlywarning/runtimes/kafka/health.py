"""A worker's small HTTP server: its metrics, whether it lives, whether it takes messages."""

from collections.abc import Callable

import structlog
from aiohttp import web

from earlywarning.monitoring import Metrics

log = structlog.get_logger(__name__)


async def serve_health(
    host: str, port: int, metrics: Metrics, ready: Callable[[], bool], show_state: Callable[[], None]
) -> web.AppRunner:
    """Serve /metrics, /healthz and /readyz until the runner is cleaned up. Raises OSError when the port is taken."""

    async def page(request: web.Request) -> web.Response:
        show_state()
        body, content_type = metrics.page(request.headers.get("accept", ""))
        return web.Response(body=body, headers={"content-type": content_type})

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def is_ready(_: web.Request) -> web.Response:
        there = ready()
        return web.json_response({"status": "ready" if there else "rebuilding"}, status=200 if there else 503)

    app = web.Application()
    app.add_routes([web.get("/metrics", page), web.get("/healthz", alive), web.get("/readyz", is_ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    log.info("worker listens", host=host, port=runner.addresses[0][1])
    return runner
