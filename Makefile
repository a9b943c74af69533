# Start with `make demo` or `make test`: both set up what they need. `make help` lists the rest.

SECONDS_OF_LOAD ?= 60
PREFIX ?= /usr/local
SEED ?= $(shell date +%s)
MINUTES ?= 10

.PHONY: help demo test check bench crash kafka-up kafka-down registry-up registry-down flink migrate migrate-down install

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

demo:  ## Five engines, kills of everything, and the proof that nothing was lost (under two minutes after the build)
	@scripts/setup.sh $(if $(KAFKA),kafka)
	cargo build --locked --release
	target/release/pgtape demo --seconds $(SECONDS_OF_LOAD) $(if $(KAFKA),--kafka$(if $(findstring :,$(KAFKA)),=$(KAFKA)))

test:  ## The whole test suite
	@scripts/test.sh

check:  ## Format, lints, documentation, dependencies
	@scripts/check.sh

bench:  ## Speed against pg_recvlogical and Java's Kafka tool, memory; writes target/bench/report.json
	@scripts/setup.sh kafka
	cargo bench --locked --bench pipeline

crash:  ## The long crash suite: make crash SEED=7 MINUTES=60
	@scripts/setup.sh
	PGTAPE_CRASH_SEED=$(SEED) PGTAPE_CRASH_MINUTES=$(MINUTES) \
		cargo test --locked --features failpoints --test integration -- crash:: killed --nocapture

kafka-up:  ## A Kafka broker on 127.0.0.1:9092, from Maven artifacts (needs java and mvn)
	@deploy/kafka/kafka.sh up

kafka-down:  ## Stop it and remove its data
	@deploy/kafka/kafka.sh down

registry-up:  ## A schema registry on 127.0.0.1:8081, from Maven artifacts (needs java and mvn)
	@deploy/kafka/kafka.sh registry-up

registry-down:  ## Stop it
	@deploy/kafka/kafka.sh registry-down

flink:  ## Five engines, Flink SQL on their topics, and its results of the day against ours
	@scripts/setup.sh kafka
	PGTAPE_FLINK_SECONDS=$(SECONDS_OF_LOAD) \
		cargo test --locked --features failpoints --test integration kafka::flink -- --nocapture

migrate:  ## Apply the schemas to the database of PGTAPE_URL or DATABASE_URL
	cargo run --locked --release -- migrate up

migrate-down:  ## Take them back, with their rows: says what is lost, and asks at a terminal (YES=1 does not ask)
	cargo run --locked --release -- migrate down $(if $(YES),--yes)

install:  ## Build and copy the program to PREFIX/bin (default /usr/local)
	cargo build --locked --release
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 target/release/pgtape $(DESTDIR)$(PREFIX)/bin/pgtape
