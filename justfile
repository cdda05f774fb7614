# One line per verb. `just` lists them.

default:
    @just --list

# Format, lints, licences, documentation
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo deny check bans licenses sources
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Every test
test:
    cargo test --workspace

# Tests of the whole cluster
it:
    cargo test -p vigie-tests

# Only lints, including those of protocol files
lint:
    cargo clippy --workspace --all-targets -- -D warnings
    cd proto && npx --yes @bufbuild/buf lint

# The Helm chart: lint, rendered objects, schemas of Kubernetes, alerts. `just chart --update` writes the rendered objects
chart *arguments:
    helm/ci/check {{arguments}}

# The image without an engine, and compose.yaml
image:
    cd deploy/image/rehearse && go run . -repo ../../..

# Benchmarks of single functions
bench:
    cargo bench -p vigie-media -p vigie-index

# Durable writes a second over gRPC; then searches on data of this shape with known answers
load shape="pdq" hashes="1000000" data="target/load":
    cargo run --release -p vigie-bank --example write_throughput both
    mkdir -p {{data}}
    cargo run --release -p vigie-loadtest -- data --shape {{shape}} --hashes {{hashes}} --out {{data}}/{{shape}}-{{hashes}}
    cargo run --release -p vigie-loadtest -- index --data {{data}}/{{shape}}-{{hashes}} --engine mih

# The demonstration
demo:
    cargo run --release -- demo
