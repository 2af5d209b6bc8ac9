# syntax=docker/dockerfile:1
# Not built where this file was written (no Docker there). `make release` builds
# the same programs with the same flags; `make check-compose` runs them.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
# timetzdata: business dates are Asia/Shanghai and an empty image has no zones.
RUN CGO_ENABLED=0 go build -trimpath -tags timetzdata -ldflags "-s -w -X main.version=${VERSION}" \
      -o /out/ ./starter ./worker ./sandbox/cmd/sandbox && mkdir /empty

# The platform: starter, worker and, for trying it out, the sandbox.
FROM scratch AS suanpan
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ /usr/local/bin/
# Volumes mounted here begin as these folders, which the user below may write.
COPY --from=build --chown=65532:65532 /empty /secrets
COPY --from=build --chown=65532:65532 /empty /data
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/starter"]
CMD ["serve"]

# The Temporal server and its schema tool, from the versions that
# tools/temporal-server pins and make check-compose runs.
FROM golang:1.26 AS temporal-build
WORKDIR /src
COPY tools/temporal-server/ ./
RUN CGO_ENABLED=0 go build -trimpath -o /out/temporal-server go.temporal.io/server/cmd/server && \
    CGO_ENABLED=0 go build -trimpath -o /out/temporal-sql-tool go.temporal.io/server/cmd/tools/sql

FROM alpine:3.22 AS temporal
RUN apk add --no-cache ca-certificates tzdata && adduser -D -u 1000 temporal
COPY --from=temporal-build /out/ /usr/local/bin/
COPY deploy/temporal/ /etc/temporal/
USER temporal
ENTRYPOINT ["/usr/local/bin/temporal-server"]
CMD ["--allow-no-auth", "start"]
