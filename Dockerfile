# The images that `cargo xtask images` writes, for those who have a container engine:
#
#   docker build --target operator   --tag localhost/ringcache-operator:0.1.0 .
#   docker build --target cache-node --tag localhost/cache-node:0.1.0 .
#   docker build --target ringcache  --tag localhost/ringcache:0.1.0 .
#
# For hosts of both architectures, in one image of a registry (we have not tested arm64):
#
#   docker buildx build --platform linux/amd64,linux/arm64 --target cache-node \
#     --tag registry.example.com/cache-node:0.1.0 --push .
ARG VERSION=0.1.0

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package ringcache-operator --package cache-node --package ringcache
# Each program with the libraries it is linked to, at their own paths; GNU libc gives memory back when asked to.
RUN set -eu; \
    for program in ringcache-operator cache-node ringcache; do \
        root="/images/$program"; \
        install -D "target/release/$program" "$root/$program"; \
        ldd "target/release/$program" > linked; \
        grep -o '/[^ ]*' linked > libraries; \
        while read -r library; do install -D "$library" "$root$library"; done < libraries; \
        install -d "$root/etc"; \
        echo 'nonroot:x:65532:65532:nonroot:/:/nologin' > "$root/etc/passwd"; \
        echo 'nonroot:x:65532:' > "$root/etc/group"; \
    done

FROM scratch AS image
ARG VERSION
LABEL org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/ringcache/ringcache"
WORKDIR /
USER 65532

FROM image AS operator
LABEL org.opencontainers.image.title="ringcache-operator"
COPY --from=build /images/ringcache-operator/ /
ENTRYPOINT ["/ringcache-operator"]

FROM image AS cache-node
LABEL org.opencontainers.image.title="cache-node"
COPY --from=build /images/cache-node/ /
ENTRYPOINT ["/cache-node"]

FROM image AS ringcache
LABEL org.opencontainers.image.title="ringcache"
COPY --from=build /images/ringcache/ /
ENTRYPOINT ["/ringcache"]
