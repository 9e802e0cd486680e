# The only entry point: every command a person or the CI needs is a target here. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules
.SUFFIXES:
.ONESHELL:

ROOT  := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
BIN   := $(ROOT)/.bin
CACHE := $(ROOT)/.cache
BUF   := $(BIN)/buf

# ---------------------------------------------------------------------------------------------------------------------
##@ Contract

VALIDATE_PROTO := $(CACHE)/protovalidate/buf/validate/validate.proto
PROTOC_PLUGINS := $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc $(BIN)/protoc-gen-connect-go

# buf writes to .cache first: a contract that does not compile must not empty gen/ for everyone who builds meanwhile.
GENERATE = rm -rf $(CACHE)/generate && $(BUF) generate -o $(CACHE)/generate && mkdir -p $(CACHE)/generate/gen/vow

.PHONY: generate
generate: proto-tools ## Format proto/ and regenerate gen/ from it
	$(BUF) format -w proto
	$(GENERATE)
	mkdir -p gen/vow
	rm -rf gen/vow.old && mv gen/vow gen/vow.old && mv $(CACHE)/generate/gen/vow gen/vow && rm -rf gen/vow.old
	GOWORK=off go -C gen mod tidy
	GOWORK=off go -C gen build ./...

.PHONY: generate-check
generate-check: proto-tools ## Fail if proto/ is not formatted or gen/ is not what it generates
	$(BUF) format -d --exit-code proto || { echo 'proto/ is not formatted: run make generate' >&2; exit 1; }
	$(GENERATE)
	diff -ru gen/vow $(CACHE)/generate/gen/vow || { echo 'gen/ is not what proto/ generates: run make generate' >&2; exit 1; }

.PHONY: proto-lint
proto-lint: proto-tools ## Lint the contract (buf, STANDARD)
	$(BUF) lint

# The reference is the last landed state. buf.yaml names the copied validate.proto, which no commit holds, so the reference
# is unpacked beside a copy of it. PROTO_BASE=<any git ref> compares with something else.
PROTO_BASE ?= $(shell git rev-parse --verify --quiet origin/main || git rev-parse --verify --quiet main || true)
.PHONY: proto-breaking
proto-breaking: proto-tools ## Fail if the contract breaks the last landed one (PROTO_BASE=ref)
	@if [ -z "$(PROTO_BASE)" ] || ! git cat-file -e '$(PROTO_BASE):proto' 2>/dev/null || ! git cat-file -e '$(PROTO_BASE):buf.yaml' 2>/dev/null; then
	  echo 'proto-breaking: nothing has landed yet, nothing to break'
	else
	  rm -rf $(CACHE)/breaking && mkdir -p $(CACHE)/breaking/.cache
	  git archive '$(PROTO_BASE)' -- proto buf.yaml | tar -x -C $(CACHE)/breaking
	  cp -r $(CACHE)/protovalidate $(CACHE)/breaking/.cache/
	  $(BUF) breaking --against $(CACHE)/breaking
	fi

.PHONY: proto-tools
proto-tools: $(BUF) $(PROTOC_PLUGINS) $(VALIDATE_PROTO)

# npm's buf takes seconds; the same version built by Go takes three minutes and is what is used where npm is missing.
BUF_VERSION := $(shell sed -n 's/.*"@bufbuild\/buf": "\(.*\)".*/\1/p' $(ROOT)/tools/buf/package.json)
$(BUF): tools/buf/package-lock.json
	@mkdir -p $(BIN)
	if command -v npm >/dev/null; then
	  # not npm ci: it refuses a lock without the platforms that a registry does not offer; --no-save keeps the lock as it is
	  npm install --prefix tools/buf --no-save --no-fund --no-audit --loglevel=error
	  ln -sfn ../tools/buf/node_modules/.bin/buf $@
	else
	  rm -f $@ && GOWORK=off GOBIN=$(BIN) go install github.com/bufbuild/buf/cmd/buf@v$(BUF_VERSION)
	fi
	touch -h $@

$(PROTOC_PLUGINS) &: tools/protoc/go.sum
	GOWORK=off GOBIN=$(BIN) go -C tools/protoc install tool
	touch $(PROTOC_PLUGINS)

$(VALIDATE_PROTO): tools/protovalidate/go.sum
	mkdir -p $(@D)
	GOWORK=off go -C tools/protovalidate mod download github.com/bufbuild/protovalidate
	install -m 644 "$$(GOWORK=off go -C tools/protovalidate list -m -f '{{.Dir}}' github.com/bufbuild/protovalidate)/proto/protovalidate/buf/validate/validate.proto" $@

