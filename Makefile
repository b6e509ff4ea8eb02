# make alone prints the verbs. Everything else is found in scripts/ and in the four modules.
MODULES := proto pkg services deploy
PATTERNS := $(MODULES:%=./%/...)
FUZZTIME ?= 120
TEST_FLAGS ?=

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

.PHONY: help run stop test audit archtest bench bench-pairs fuzz build build-modules generate check-generated breaking \
	format lint lint-proto lint-go lint-shell lint-vuln tidy-check tools clean

help: ## print the verbs
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r verb text; do printf '%-24s %s\n' "$$verb" "$$text"; done

run: ## start everything on this machine, until Ctrl-C (ARGS goes to devstack)
	@exec scripts/run.sh $(ARGS)

stop: ## end the stack that make run started
	@scripts/stop.sh

test: ## all tests with the race detector (TEST_FLAGS is passed on)
	@scripts/prepare-test.sh
	@echo "go test -race on $$(go list $(PATTERNS) | wc -l) packages"
	go test -race -timeout 20m $(TEST_FLAGS) $(PATTERNS)

audit: ## prove the books of the stack that make run started (ARGS goes to creditctl audit)
	@go run ./deploy/creditctl/cmd/creditctl audit $(ARGS)

archtest: ## who may import whom (also part of make test)
	go test ./deploy/archtest/...

bench: ## measure the running parts and print the numbers (ARGS goes to bench)
	go run ./deploy/bench/cmd/bench $(ARGS)

bench-pairs: ## processor time of a purchase against OLD (a commit or a checkout): median of PAIRS (10) alternated pairs
	@scripts/bench-pairs.sh

fuzz: ## all fuzz tests, FUZZTIME seconds in all (120), first what changed since main
	@scripts/fuzz.sh $(FUZZTIME) $(MODULES)

build: ## all service and operator binaries into .bin/
	@mkdir -p .bin
	CGO_ENABLED=0 go build -trimpath -o .bin/ $$(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' $(PATTERNS))

build-modules: ## each module on its own, as someone who imports it sees it
	@for module in $(MODULES); do echo "GOWORK=off go build ./... in $$module"; (cd $$module && GOWORK=off go build ./...); done

generate: ## proto/gen from proto/creditpay
	@scripts/generate.sh

check-generated: ## fail when proto/gen is not what generate would write
	@scripts/generate.sh --check

breaking: ## report contract changes against main that break callers (never fails)
	@scripts/breaking.sh || echo "breaking: see above; this step does not fail the build"

format: ## rewrite .proto and .go files in their standard form
	@scripts/tools.sh buf && scripts/protodeps.sh
	.bin/buf format -w proto
	gofmt -w $(MODULES)

lint: lint-proto lint-go lint-shell lint-vuln ## all linters, gosec and known vulnerabilities

lint-proto:
	@scripts/tools.sh buf && scripts/protodeps.sh
	.bin/buf lint proto
	.bin/buf format --diff --exit-code proto

lint-go:
	@scripts/tools.sh lint
	go vet $(PATTERNS)
	.bin/golangci-lint run $(PATTERNS)

lint-shell:
	@for script in scripts/*.sh .ci/run; do bash -n "$$script"; done

lint-vuln:
	@scripts/vulncheck.sh $(MODULES)

tidy-check: ## fail when a go.mod or go.sum is not tidy
	@failed=; for module in $(MODULES); do echo "go mod tidy -diff in $$module"; (cd $$module && GOWORK=off go mod tidy -diff) || failed=yes; done; test -z "$$failed"

tools: ## fetch and build the pinned tools into .bin/
	@scripts/tools.sh

clean: ## remove .bin and .protodeps; the data under .local stays
	rm -rf .bin .protodeps
