# Fengqiao: two commands matter. `make run` starts a demo township,
# `make test` installs what the tests need and runs them all.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO      ?= go
BIN     := bin/fengqiao
LDFLAGS := -s -w -X main.version=$(VERSION)
GOFILES := $(shell git ls-files '*.go' 2>/dev/null)
UISRC   := $(shell git ls-files ui 2>/dev/null)
DEMO    ?= tmp/demo

.PHONY: help run build ui test test-go test-ui test-e2e test-deb faults bench bench-large lint api deb clean setup-e2e

help: ## show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build everything and start a demo township
	@$(BIN) demo --data $(DEMO)

build: ui $(BIN) ## build the UI and the binary

ui: ui/dist/.built ## build the UI

ui/node_modules/.installed: ui/package-lock.json
	cd ui && npm ci --no-audit --no-fund
	@touch $@

ui/dist/.built: ui/node_modules/.installed $(UISRC)
	cd ui && npm run build
	@touch $@

$(BIN): ui/dist/.built $(GOFILES) go.mod go.sum
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/fengqiao

test: test-go test-ui test-e2e test-deb ## every test: Go with -race, UI units, browser end to end
	@echo "all tests passed"
	@$(CAN_CUT) || echo "NOT TESTED: loss of unsynced writes, full and hanging disks; that needs /dev/fuse and root ('make faults' insists on it)"

# whether this machine lets the tests mount a file system of their own
CAN_CUT := [ "$$(id -u)" = 0 ] && (exec 3<>/dev/fuse) 2>/dev/null

test-go: ## Go tests with the race detector
	$(GO) vet ./...
	$(GO) test -race -timeout 8m ./...

test-ui: ui/node_modules/.installed ## UI types, lint, keys and units
	cd ui && npm run types && npm run lint && npm test

setup-e2e:
	@packaging/test/install-browser.sh

test-e2e: build setup-e2e ## browser end to end against a real box
	cd ui && npm run e2e

test-deb: build ## the package: install, upgrade, remove, data kept
	packaging/test/deb.sh

faults: ## 200 kills, 60 power cuts, full and hanging disks, thousands of flipped bits; needs /dev/fuse and root
	@$(CAN_CUT) || { echo "make faults: loss of unsynced writes needs /dev/fuse and root; without them nothing is proved" >&2; exit 1; }
	$(GO) test -count=1 -timeout 10m ./cluster/... ./node/audit ./node/identity ./node/internal/lossyfs
	FENGQIAO_FAULTS=full $(GO) test -count=1 -timeout 60m -v -run Fault ./node/store ./node/service

bin/bench: $(BIN) $(shell git ls-files packaging/bench 2>/dev/null)
	cd packaging/bench && $(GO) build -o ../../$@ .

BENCH ?= tmp/bench

bench: bin/bench setup-e2e ## durable creates beside PocketBase, accepted to drawn, packages; figures go to node/DESIGN.md
	bin/bench create -binary $(BIN) -dir $(BENCH)
	cd ui && node e2e/latency.mjs
	$(GO) test -run '^$$' -bench . -benchtime 0.5s -benchmem ./cluster/... ./node/... ./search/... ./backup/...

bench-large: bin/bench ## a box of a million records, made once (minutes, 16 GB in tmp/bench): lists, start after kill -9, memory
	bin/bench seed -binary $(BIN) -dir $(BENCH)
	bin/bench lists -binary $(BIN) -dir $(BENCH)
	bin/bench ready -binary $(BIN) -dir $(BENCH) -runs 3
	bin/bench memory -binary $(BIN) -dir $(BENCH)

lint: ui/node_modules/.installed ## gofmt, vet, eslint
	@test -z "$$(gofmt -l $(GOFILES))" || { gofmt -l $(GOFILES); exit 1; }
	$(GO) vet ./...
	cd ui && npm run lint

api: ## write the OpenAPI document and the TypeScript types from the routes
	$(GO) test ./node/httpapi -run TestOpenAPI -update
	cd ui && npm run api

deb: build ## a Debian package in dist/
	packaging/deb/build.sh $(VERSION)

clean: ## remove what was built and the demo's data
	rm -rf bin dist tmp ui/dist/assets ui/dist/.built
