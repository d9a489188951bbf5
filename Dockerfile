# One image for the workers of the reference system: which service it is, the command says.
# Written now, built and proved by tests in a later step.

FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/app SAGAWORKS_DATA=/data
WORKDIR /app

COPY requirements-worker.lock .
RUN python -m pip install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --no-deps --require-hashes --requirement requirements-worker.lock

COPY pyproject.toml ./
COPY bpmn bpmn
COPY models models
COPY sagaworks sagaworks
COPY workers workers
COPY demo demo

RUN useradd --system --uid 10001 saga && install --directory --owner saga /data
USER saga
VOLUME /data

# A worker stops within SAGAWORKS_GRACE_SECONDS; give it longer than that.
STOPSIGNAL SIGTERM
CMD ["python", "-m", "workers", "inventory"]
