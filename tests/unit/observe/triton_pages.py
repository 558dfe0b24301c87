"""Triton's metrics pages of the tests, and a server of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


def page(
    success: float = 0,
    queue_us: float = 0,
    pending: float = 0,
    rejected: float = 0,
    model: str = "bert",
    gpu: float | None = 0.5,
    labels: str = "",
) -> str:
    """The families that matter, with Triton's own comments."""
    name = f'model="{model}",version="1"{labels}'
    text = (
        "# HELP nv_inference_request_success Number of successful inference requests\n"
        "# TYPE nv_inference_request_success counter\n"
        f"nv_inference_request_success{{{name}}} {success}\n"
        f'nv_inference_request_failure{{{name},reason="REJECTED"}} {rejected}\n'
        f'nv_inference_request_failure{{{name},reason="OTHER"}} 0\n'
        f"nv_inference_queue_duration_us{{{name}}} {queue_us}\n"
        f"nv_inference_pending_request_count{{{name}}} {pending}\n"
        'nv_inference_request_summary_us{model="bert",version="1",quantile="0.99"} nan\n'
        "nv_cpu_utilization 0.25\n"
    )
    if gpu is not None:
        text += (
            f'nv_gpu_utilization{{gpu_uuid="GPU-0"}} {gpu}\n'
            'nv_gpu_power_usage{gpu_uuid="GPU-0"} 350\n'
            'nv_gpu_power_limit{gpu_uuid="GPU-0"} 700\n'
        )
    return text


class PageServer:
    """Serves `pages` by path; a path without a page is 404."""

    def __init__(self) -> None:
        self.pages: dict[str, str | bytes] = {}
        self.delay = 0.0
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = self.pages.get(request.match_info["pod"])
        if body is None:
            raise web.HTTPNotFound
        return web.Response(body=body.encode() if isinstance(body, str) else body)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[PageServer]:
        app = web.Application()
        app.router.add_get("/{pod}/metrics", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()
