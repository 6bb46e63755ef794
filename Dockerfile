# Keyframe MCP in a container: docs/docker.md. It works with a read-only root; what it keeps is in /data.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ARG EXTRAS=local,telemetry
WORKDIR /source
RUN python -m venv /opt/keyframe
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/keyframe/bin/python -m pip install --no-cache-dir --disable-pip-version-check ".[${EXTRAS}]"

FROM python:${PYTHON}-slim
LABEL io.modelcontextprotocol.server.name="io.github.keyframe-mcp/keyframe-mcp" \
      org.opencontainers.image.title="Keyframe MCP" \
      org.opencontainers.image.description="Video generation for AI agents over MCP" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0 AND GPL-2.0-or-later"
# The second licence is that of x264, which is inside the wheel of PyAV.
COPY LICENSE packaging/docker/NOTICE.md /usr/share/doc/keyframe-mcp/
COPY --from=build /opt/keyframe /opt/keyframe
# A volume that is new takes over this folder's owner, so that a user without rights can write to it.
RUN useradd --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin keyframe \
    && mkdir -p /data/state /data/videos \
    && chown -R 10001:10001 /data \
    && chmod -R 0700 /data
ENV PATH=/opt/keyframe/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data \
    KEYFRAME_STATE_DIR=/data/state \
    KEYFRAME_OUTPUT_DIR=/data/videos
VOLUME /data
WORKDIR /data
USER 10001:10001
EXPOSE 8765
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener as b; b(ProxyHandler({})).open('http://127.0.0.1:8765/health', timeout=4)"]
ENTRYPOINT ["keyframe-mcp"]
CMD ["serve", "--transport", "http", "--host", "0.0.0.0", "--port", "8765"]
