# syntax=docker/dockerfile:1
# Training, offline: torch and all.   docker build -f docker/training.Dockerfile -t vqrec-training .
# The torch of the public index brings CUDA, several gigabytes of it. For a small image without it, give an index of
# CPU builds in PIP_EXTRA_INDEX_URL.
FROM python:3.12.13-slim-bookworm AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY models ./models
COPY training ./training
RUN python -m venv /opt/vqrec \
    && /opt/vqrec/bin/python -m pip install -c constraints.txt '.[training]' \
    && /opt/vqrec/bin/python -m pip uninstall --yes pip

FROM python:3.12.13-slim-bookworm
RUN groupadd --gid 10001 vqrec \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin vqrec \
    && install --directory --owner vqrec --group vqrec /artifacts /data
COPY --from=builder /opt/vqrec /opt/vqrec
# Encoders and data sets from the hub, and what torch compiles, are kept outside the read-only part.
ENV PATH=/opt/vqrec/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    HF_HOME=/data/huggingface \
    TORCHINDUCTOR_CACHE_DIR=/tmp/torchinductor
VOLUME /data
USER 10001:10001
WORKDIR /data
STOPSIGNAL SIGINT
ENTRYPOINT ["vqrec"]
CMD ["--help"]
