SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MODULES := $(patsubst %/,%,$(dir $(shell git ls-files --cached --others --exclude-standard 'go.mod' '*/go.mod')))
# tools and tools/lint have no code; they only pin a tool.
CODE := $(filter-out tools tools/lint,$(MODULES))
# The first two mostly wait, so they begin first. tests/interop starts servers that npm brings: make interop.
TESTED := tests/fleet . tests/faults $(filter-out . tests/fleet tests/faults tests/interop,$(CODE))
FUZZTIME ?= 30s
SOAKTIME ?= 60s
LINT := go tool -modfile=$(CURDIR)/tools/lint/go.mod golangci-lint

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^##@/ {printf "%s%s:\n", sep, substr($$0, 5); sep = "\n"} /^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

.PHONY: demo
demo: ## run every operation against the sandbox, over HTTP on loopback
	go run ./examples/lifecycle

.PHONY: sandbox
sandbox: ## serve the sandbox on loopback, at ADDR if it is set, and print settings for clients
	@go run ./examples/sandbox $(if $(ADDR),-addr $(ADDR))

##@ Before each commit

.PHONY: generate
generate: ## regenerate gen/ from api/
	go generate ./...

.PHONY: check
check: ## fail if generate, go mod tidy or gofmt would change or add a file
	@before="$$(git status --porcelain; git diff)"; go generate ./...; \
	if [ "$$before" != "$$(git status --porcelain; git diff)" ]; then \
		git status --short; echo 'go generate ./... changed the files above: commit them' >&2; exit 1; fi
	@for m in $(MODULES); do (cd $$m && go mod tidy -diff) || { echo "run go mod tidy in $$m" >&2; exit 1; }; done
	@files="$$(git ls-files --cached --others --exclude-standard '*.go' | xargs gofmt -l)"; \
	if [ -n "$$files" ]; then echo "$$files"; echo 'run gofmt -w on the files above' >&2; exit 1; fi

.PHONY: lint
lint: ## run golangci-lint over every module
	@for m in $(CODE); do echo "== $$m"; (cd $$m && $(LINT) run --config $(CURDIR)/.golangci.yml ./...); done

.PHONY: test
test: ## run every test of every module, four modules at a time
	@$(MAKE) --no-print-directory -j4 -k -O $(TESTED:%=test-of/%)

.PHONY: race
race: ## run them again under the race detector, two modules at a time
	@$(MAKE) --no-print-directory -j2 -k -O TESTFLAGS='-race -parallel=12' $(TESTED:%=test-of/%)

.PHONY: $(TESTED:%=test-of/%)
$(TESTED:%=test-of/%): test-of/%: # tokens takes longest, so it begins first
	@echo "== $*"; cd $* && go test -shuffle=on $(TESTFLAGS) $(if $(filter .,$*),./tokens) ./...

##@ Before each release

.PHONY: apidiff
apidiff: ## compare the exported API with the last version tag; REF=name compares with another ref
	cd tools/apidiff && go run . $(if $(REF),-ref $(REF))

.PHONY: platforms
platforms: ## build the main module for every supported platform
	@for p in linux/amd64 linux/arm64 linux/386 linux/arm darwin/amd64 darwin/arm64 windows/amd64 windows/arm64 js/wasm plan9/amd64; do \
		echo "== $$p"; GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 go build ./...; done

.PHONY: interop
interop: ## run against OAuth servers, validators and test suites of others; some are installed with npm
	cd tests/interop && go test -count=1 ./...
	@dir="$$(mktemp -d)"; trap 'rm -rf "$$dir"' EXIT; \
	(cd "$$dir" && npm pack --silent json-patch-test-suite@1.1.0 >/dev/null && tar xzf *.tgz); \
	JSON_PATCH_TEST_SUITE="$$dir/package" go test -count=1 -tags=interop -run=Suite -v ./oauthclients/jsonpatch | tail -5

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (30s)
	@grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r f; do \
		for t in $$(grep -oE '^func Fuzz[A-Za-z0-9_]+' $$f | cut -c6-); do \
			echo "== $$f $$t"; (cd $$(dirname $$f) && go test -run='^$$' -fuzz="^$$t\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=10x .); done; done

.PHONY: soak
soak: ## make mixed calls with 10,000 callers for SOAKTIME (60s) while faults change, and run longer simulations
	go run ./tests/soak -for $(SOAKTIME)
	go test -race -count=1 -timeout=20m -run='^(TestSimulation|TestLimiter)' ./tokens -simulation=60s -seeds=5

.PHONY: bench
bench: ## compare the hot paths with x/oauth2 and other peers, in one run of some minutes
	cd tests/bench && go run . && go test -run '^TestRateLimits$$' -v .
	@go test -count=1 -v -run='^TestStoreCallsOfAQuietFleet$$' ./tokens | grep 'calls of' # in virtual time

##@ What vendors publish

.PHONY: drift
drift: ## compare api/ with what the vendors publish now
	@dir="$$(mktemp -d)"; trap 'rm -rf "$$dir"' EXIT; go -C tools/specsync build -o "$$dir/specsync" . && "$$dir/specsync"
