# syntax=docker/dockerfile:1
# The service: no torch, no training code, no compiler, no root.   docker build -f docker/service.Dockerfile -t vqrec .
FROM python:3.12.13-slim-bookworm AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Another index or mirror, if the machine that builds needs one.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY models ./models
COPY service ./service
RUN python -m venv /opt/vqrec \
    && /opt/vqrec/bin/python -m pip install -c constraints.txt '.[service]' \
    && /opt/vqrec/bin/python -m pip uninstall --yes pip

FROM python:3.12.13-slim-bookworm
# The same number in both images, so that the service can read what training wrote into a shared volume. The base image
# brings a pip of its own, and one to install it anew: nothing is to be installed here.
RUN python -m pip uninstall --yes pip \
    && rm -r "$(python -c 'import ensurepip; print(*ensurepip.__path__)')" \
    && groupadd --gid 10001 vqrec \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin vqrec \
    && install --directory --owner vqrec --group vqrec /artifacts /data
COPY --from=builder /opt/vqrec /opt/vqrec
ENV PATH=/opt/vqrec/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    NUMBA_CACHE_DIR=/data/kernels \
    VQREC_ARTIFACTS=/artifacts \
    VQREC_DATA_DIR=/data
# /data is all that it writes, so the rest of the container may be read-only.
VOLUME /data
USER 10001:10001
WORKDIR /data
EXPOSE 8000
# Alive, not ready: a container that still loads a catalogue, or waits for Redis, is not to be restarted for it. Nothing
# is answered before the search is compiled, at the first start with a new /data.
HEALTHCHECK --interval=10s --timeout=3s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["vqrec"]
CMD ["serve", "--host", "0.0.0.0"]
