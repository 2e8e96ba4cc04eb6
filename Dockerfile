# One static program on an empty base, running as a numeric user who is nobody.
#
# Where the engine can pull images, `docker build .` does everything inside.
#
# Where it cannot, build the program first and take only the stage `outside`, which pulls nothing:
#   RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --target x86_64-unknown-linux-gnu -p s1lab
#   mkdir -p target/docker && cp target/x86_64-unknown-linux-gnu/release/s1lab target/docker/
#   docker build --target outside -t s1lab:local .

# The program was made outside.
FROM scratch AS outside
COPY --chown=65532:65532 docker/state/ /state/
COPY target/docker/s1lab /s1lab
USER 65532:65532
WORKDIR /
ENV S1LAB_STATE=/state
ENTRYPOINT ["/s1lab"]

# The program is made here.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --target x86_64-unknown-linux-gnu -p s1lab

FROM scratch AS inside
COPY --chown=65532:65532 docker/state/ /state/
COPY --from=build /src/target/x86_64-unknown-linux-gnu/release/s1lab /s1lab
USER 65532:65532
WORKDIR /
ENV S1LAB_STATE=/state
ENTRYPOINT ["/s1lab"]
