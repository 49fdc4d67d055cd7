# The server in an image: no compiler, no Node, no root, nothing written outside of /data.
#
#   docker build -t agentsight .
#   docker run -d -p 8000:8000 -v agentsight:/data agentsight
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements ./requirements
# What builds, apart from what serves.
RUN python3 -m venv /tools && /tools/bin/pip install --quiet -r requirements/build.txt -r requirements/node.txt
RUN python3 -m venv /opt/agentsight && /opt/agentsight/bin/pip install --quiet -r requirements/server.txt
COPY LICENSE ./
COPY sdk ./sdk
COPY server ./server
RUN /tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels ./sdk ./server \
    && /opt/agentsight/bin/pip install --quiet --no-deps --no-index /wheels/*.whl \
    && /opt/agentsight/bin/pip uninstall --quiet --yes pip setuptools \
    && mkdir /data && chmod 0700 /data

FROM ${PYTHON}
LABEL org.opencontainers.image.title="AgentSight" \
      org.opencontainers.image.description="Conversation analytics for AI agents" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/agentsight/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    AGENTSIGHT_HOST=0.0.0.0 \
    AGENTSIGHT_DATA_DIR=/data
COPY --from=build /opt/agentsight /opt/agentsight
COPY --from=build --chown=10001:10001 /data /data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Ready to take writes, and a figure was asked and answered.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["agentsight", "healthcheck"]
ENTRYPOINT ["agentsight"]
CMD ["serve"]
