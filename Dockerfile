# syntax=docker/dockerfile:1
# docker build -t registry.example.com/triton-autoscaler:0.1.0 .
# For a build that can be repeated to the byte, pin both images by digest as well.

FROM ghcr.io/astral-sh/uv:0.13.8 AS uv

FROM python:3.11.14-slim-bookworm AS build
COPY --from=uv /uv /usr/local/bin/uv
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /app
# Dependencies first: they change less often than the code, and are most of the image.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --locked --no-dev --no-install-project
COPY README.md ./
COPY autoscaler ./autoscaler
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --locked --no-dev --no-editable

# The same Python at the same place: the virtual environment points to it.
FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="triton-autoscaler" \
      org.opencontainers.image.description="Keeps fleets of NVIDIA Triton servers inside their latency promise" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# By number: the kubelet cannot check runAsNonRoot against a name.
USER 65532:65532
WORKDIR /tmp
EXPOSE 9797 6443
ENTRYPOINT ["triton-autoscaler"]
CMD ["run"]
