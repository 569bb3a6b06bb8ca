# The image of worker, bridge and command line. The context is the repository:
#
#     docker build -t REGISTRY/kaito-temporal/kaito-temporal:0.1.0 .
#
# A tag can be moved, a digest can't. To pin what is published, take the digest of the tag (`docker buildx imagetools inspect node:24.21.0-bookworm-slim`) and
# build with --build-arg NODE_IMAGE=docker.io/library/node@sha256:…
ARG NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim

# Compiles, and bundles the workflow code: the image has no compiler, and nothing is written when it starts.
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run build

# What runs, and the list of what it is made of. Optional packages are compilers, and Node itself.
FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund \
 && npm pkg delete devDependencies optionalDependencies \
 && npm sbom --sbom-format=spdx > sbom.spdx.json \
 && find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -r {} +

FROM ${NODE_IMAGE}
# Temporal's client trusts the system's certificates, which Node's image lacks.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log
COPY --from=build /app/presets/runtime/sbom/debian /usr/share/sbom/list-debian
RUN sh /usr/share/sbom/list-debian > /usr/share/sbom/debian.spdx.json
WORKDIR /app
COPY --from=packages /app/ ./
COPY --from=build /app/dist/ ./dist/
# What `kaito doctor` compares the permissions in a cluster with.
COPY --from=build /app/charts/ ./charts/
ENV NODE_ENV=production \
    KAITO_WORKFLOW_BUNDLE=/app/dist/workflow-bundle.js
# A number, so that Kubernetes can see that it is not root; the same as the chart's.
USER 2000:2000
ENTRYPOINT ["node", "/app/dist/workers/start.js"]
