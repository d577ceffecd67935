# The program with the runtime of its own package-lock: nothing of the base image runs but a C library and, in the chart's init container, chown.

FROM node:24-bookworm-slim AS dependencies
WORKDIR /opt/sightline
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev && npm cache clean --force

FROM debian:bookworm-slim
ARG REVISION=''
ENV SIGHTLINE_REVISION=$REVISION NODE_ENV=production
WORKDIR /opt/sightline
COPY --from=dependencies /opt/sightline/node_modules node_modules
COPY package.json main.ts system.ts ledger.ts ./
COPY cli cli
COPY lib lib
COPY collector collector
COPY rules rules
COPY query query
RUN install --directory --owner=10001 --group=10001 /var/lib/sightline
USER 10001:10001
VOLUME /var/lib/sightline
EXPOSE 9428 4317 4318
# Draining writes a checkpoint: give it time (docker stop --time 60).
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/sightline/node_modules/node/bin/node", "/opt/sightline/main.ts"]
CMD ["all", "--data", "/var/lib/sightline/data"]
