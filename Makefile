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

# The workspace's modules, in its order. Tool modules are outside it: each has its own build list.
MODULES := $(shell sed -n 's|^[[:space:]]*\./||p' $(ROOT)/go.work)
# golangci-lint and `go vet` fail on a module without Go files; such a module has nothing to check yet.
PACKAGED := $(foreach m,$(MODULES),$(if $(shell find $(ROOT)/$(m) -name '*.go' -print -quit 2>/dev/null),$(m)))

# ---------------------------------------------------------------------------------------------------------------------
##@ Everyday

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-zA-Z0-9_%-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up
up: ## Run everything on this machine (vow up)
	go run ./vow up

.PHONY: demo
demo: ## Kill a service, watch it converge, print the trace (vow demo)
	go run ./vow demo

# Without cgo the binaries run on any Linux of this architecture, in an image made of nothing else too.
.PHONY: build
build: ## Build all commands into bin/, static
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/ $$(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' work | grep -E '/vow/(vow|[^/]+/cmd/[^/]+)$$')
	ls -l bin

.PHONY: fmt
fmt: $(BIN)/golangci-lint proto-tools ## Format Go and proto files
	$(BIN)/golangci-lint fmt $(PACKAGED)
	cd tools/check && GOWORK=off $(BIN)/golangci-lint fmt
	$(BUF) format -w proto

# Root and apt are not taken for granted: a developer's machine may have neither, and then is told what to install.
DEBIAN_PACKAGES := redis-server redis-tools gcc libc6-dev git curl openssl python3 python3-zc.buildout xz-utils bzip2 systemd jq chromium-headless-shell
.PHONY: setup
setup: ## Install what the tests need: Debian packages (as root), pinned tools into .bin/
	@missing=
	for tool in redis-server redis-cli gcc git curl openssl python3 buildout xz bzip2 systemd-analyze jq chromium-headless-shell; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done
	if [ -z "$$missing" ]; then
	  echo 'setup: redis-server, gcc, git, curl, openssl, python3, buildout, xz, bzip2, systemd-analyze, jq and chromium-headless-shell are here'
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	  echo "setup: installing Debian packages for$$missing: $(DEBIAN_PACKAGES)"
	  # RUNLEVEL=1: each test starts its own redis-server on a free port, the packaged one must not run
	  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends $(DEBIAN_PACKAGES) >/dev/null
	else
	  echo "setup: not found:$$missing. Install them (Debian: $(DEBIAN_PACKAGES)); tests that need Redis, buildout or chromium are skipped without, and fail in CI" >&2
	fi
	echo 'setup: installing buf, the protoc plugins, golangci-lint and testreport into .bin/'
	$(MAKE) proto-tools $(BIN)/golangci-lint $(BIN)/testreport prometheus

# Two programs of Debian's package, not the package: it brings eleven others, and a daemon that starts with the machine.
.PHONY: prometheus
prometheus:
	@if command -v prometheus >/dev/null && command -v promtool >/dev/null || [ -x $(BIN)/promtool ]; then exit 0; fi
	if ! command -v apt-get >/dev/null; then echo 'setup: not found: prometheus; tests that scrape with it fail without' >&2; exit 0; fi
	mkdir -p $(BIN) $(CACHE)/prometheus && cd $(CACHE)/prometheus
	apt-get download -qq prometheus 2>/dev/null || { apt-get update -qq && apt-get download -qq prometheus; }
	dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components=3 -C $(BIN) ./usr/bin/prometheus ./usr/bin/promtool
	rm -f prometheus_*.deb

.PHONY: clean
clean: ## Remove what make made: bin/, .bin/, .cache/
	rm -rf bin .bin .cache tools/buf/node_modules

# ---------------------------------------------------------------------------------------------------------------------
##@ Checks

# The tests come last, so that the log ends with go test's own lines; what is quick to fail comes first.
PHASES := generate-check proto-lint proto-breaking check-repo check-tidy lint test-gowork-off test-clients fuzz-short test-days cluster-test test-go
.PHONY: test
test: ## Everything that CI runs, phase by phase with timings
	@timings=
	for phase in $(PHASES); do
	  echo "=== $$phase"
	  [ $$phase != $(lastword $(PHASES)) ] || echo "    so far:$$timings"
	  began=$$SECONDS
	  $(MAKE) $$phase
	  timings="$$timings $$phase $$((SECONDS - began)) s,"
	done

# -vet=off: lint and test-gowork-off have vetted everything already. -p 4 on any machine: half of what these tests take is waiting,
# for killed processes to be seen and for silences to be long enough. TEST_FLAGS adds flags, for example -run.
TEST_FLAGS ?=
.PHONY: test-go
test-go: $(BIN)/testreport ## All Go tests of the workspace with the race detector (TEST_FLAGS=…)
	@command -v gcc >/dev/null || { echo 'cannot run the race detector without a C compiler: make setup' >&2; exit 1; }
	go test -race -vet=off -p 4 -timeout 20m -json $(TEST_FLAGS) work | $(BIN)/testreport

# Virtual days are long: without the race detector, which test-go has for everything else.
.PHONY: test-days
test-days: ## The fleet simulator's days with a link cut, without the race detector
	go test -count=1 -timeout 10m -run '^TestDaysWithoutALink$$' ./sim/fleet

.PHONY: test-gowork-off
test-gowork-off: ## Build and vet each module on its own, with its own build list
	@for m in $(PACKAGED); do
	  echo "$$m: build, vet"
	  GOWORK=off go -C $$m build -buildvcs=false ./...
	  GOWORK=off go -C $$m vet ./...
	done

# npm install keeps a copy of gen/ts that has the same version: it is taken anew. --no-save as for tools/buf.
CLIENT_TS := examples/clients/typescript
.PHONY: test-clients
test-clients: ## Build the example clients (Go, TypeScript, curl) and run them against one vow up
	@command -v npm >/dev/null || { echo 'cannot build the TypeScript client without npm' >&2; exit 1; }
	rm -rf $(CLIENT_TS)/node_modules/@vow-os $(CLIENT_TS)/dist
	npm install --prefix $(CLIENT_TS) --no-save --loglevel=error
	$(CLIENT_TS)/node_modules/.bin/tsc -p $(CLIENT_TS)
	GOWORK=off go -C examples/clients vet ./...
	GOWORK=off go -C examples/clients test -count=1 ./...

.PHONY: lint
lint: $(BIN)/golangci-lint ## Lint all Go code (golangci-lint, .golangci.yaml)
	$(BIN)/golangci-lint run $(PACKAGED:%=./%/...)
	cd tools/check && GOWORK=off $(BIN)/golangci-lint run ./...

.PHONY: lint-fix
lint-fix: $(BIN)/golangci-lint ## Lint, and fix what can be fixed without thought
	$(BIN)/golangci-lint run --fix $(PACKAGED:%=./%/...)

.PHONY: check-repo
check-repo: ## Check the rules of this repository: imports, names, docs (tools/check)
	GOWORK=off go -C tools/check test -count=1 ./... # -count=1: go test does not see changes outside its module

# tools/lint and tools/cluster would fetch hundreds of modules only to look at their tests; tools/protovalidate and tools/kubernetes are never tidy (see their go.mod).
.PHONY: check-tidy
check-tidy: ## Fail if a go.mod or go.sum is not tidy
	@for m in $(MODULES) examples/clients tools/protoc tools/check tools/cluster; do
	  GOWORK=off go -C $$m mod tidy -diff || { echo "$$m is not tidy: GOWORK=off go -C $$m mod tidy" >&2; exit 1; }
	done

.PHONY: tidy
tidy: ## Tidy every module
	@for m in $(MODULES) examples/clients tools/protoc tools/check tools/cluster; do echo $$m; GOWORK=off go -C $$m mod tidy; done

# Inputs that reach new code are hardly minimized: by default that takes most of so short a time.
# Counts, not seconds: with -fuzztime=3s the coordinator of Go before 1.27 now and then fails a target with "context deadline exceeded" (go.dev/issue/75804).
# Those of FUZZ_SLOW touch the disk or run a whole aggregate; either way a target takes one to three seconds on two cores.
FUZZ_RUNS      ?= 10000x
FUZZ_SLOW_RUNS ?= 1500x
FUZZ_SLOW      := FuzzConfiguration FuzzDeclaration FuzzEvents FuzzExecutions FuzzInstall FuzzLoad FuzzParseJournal FuzzRead FuzzUnpack FuzzUnpackingStaysInside
.PHONY: fuzz-short
fuzz-short: ## Run each fuzz target for a moment (FUZZ_RUNS=10000x, FUZZ_SLOW_RUNS=1500x)
	@{ grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' $(MODULES) || echo 'no fuzz targets' >&2; } | sed 's/:func / /' | while read -r file target; do
	  echo "$$target in $$(dirname $$file)"
	  runs=$(FUZZ_RUNS)
	  case ' $(FUZZ_SLOW) ' in *" $$target "*) runs=$(FUZZ_SLOW_RUNS) ;; esac
	  go test -run '^$$' -fuzz "^$$target$$" -fuzztime $$runs -fuzzminimizetime 10x ./$$(dirname $$file) </dev/null
	done

# Without the race detector both simulators run at their own speed, which is what their figures are about.
.PHONY: sim
sim: ## Run the simulators: model seeds, fleet stories and the fleet's day (TEST_FLAGS=…)
	go test -count=1 -timeout 15m -v $(TEST_FLAGS) ./sim/...

# Tests that read VOW_SOAK do all of what CI has a minute for; the chaos test goes on for SOAK. VOW_SEED=… makes the faults of a run that failed.
SOAK ?= 10m
.PHONY: soak
soak: ## Run the tests that kill and cut at random at their full length (SOAK=10m)
	VOW_SOAK=$(SOAK) go test -tags soak -race -count=1 -timeout 60m -v $(TEST_FLAGS) ./svc-node/app/supervisor ./svc-node/internal/install ./sim/real

# 10,000 bangs while services are killed take 10 minutes; `make soak` makes 240.
BANGS ?= 10000
.PHONY: soak-traces
soak-traces: ## Bang while services are killed, and assemble every trace (BANGS=10000)
	VOW_BANGS=$(BANGS) go test -tags soak -count=1 -timeout 60m -v -run '^TestNoTraceHas' ./sim/real

.PHONY: e2e-prometheus
e2e-prometheus: ## Have Debian's Prometheus scrape real services, show every panel and fire an alert
	go test -count=1 -timeout 10m -v -run '^TestPrometheus' ./sim/real

# Each is built from its sources once, which takes minutes, by its own builder; then it takes a `vow demo` with the shipped configuration and shows the trace of its bang.
.PHONY: e2e-collector
e2e-collector: $(CACHE)/collector/otelcol-vow ## Send a demo through an OpenTelemetry Collector, and find its trace there
	VOW_COLLECTOR=$< go test -tags e2e -count=1 -v -run '^TestACollector' ./sim/real

.PHONY: e2e-jaeger
e2e-jaeger: $(CACHE)/jaeger/jaeger ## Send a demo to a Jaeger, and find its trace and those of the dashboards there
	VOW_JAEGER=$< go test -tags e2e -count=1 -v -run '^TestAJaeger' ./sim/real

COLLECTOR_VERSION := $(shell sed -n 's/^  version: //p' $(ROOT)/tools/collector/builder.yaml)
$(CACHE)/collector/otelcol-vow: tools/collector/builder.yaml
	GOWORK=off GOBIN=$(CACHE)/collector-builder go install go.opentelemetry.io/collector/cmd/builder@v$(COLLECTOR_VERSION)
	GOWORK=off $(CACHE)/collector-builder/builder --config $<
	touch $@

# It has replace directives, so that it cannot be installed by its name: it is built in a module that repeats its own.
JAEGER     := github.com/jaegertracing/jaeger@v1.76.0
JAEGER_SUM := h1:sWCOOF1dr+NL0PLil7mFo3BqqQL8k4WiM7aguFbc14g=
$(CACHE)/jaeger/jaeger:
	mkdir -p $(@D) && cd $(@D)
	export GOWORK=off
	[ "$$(go mod download -json $(JAEGER) | sed -n 's/^\t"Sum": "\(.*\)",$$/\1/p')" = '$(JAEGER_SUM)' ] || { echo 'cannot build Jaeger: $(JAEGER) is not what it was' >&2; exit 1; }
	source=$$(go mod download -json $(JAEGER) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p')
	sed 's|^module .*|module jaeger|' $$source/go.mod >go.mod && cat $$source/go.sum >go.sum
	go mod edit -require=$(JAEGER)
	go build -mod=mod -trimpath -ldflags='-s -w' -o $@ $(firstword $(subst @, ,$(JAEGER)))/cmd/jaeger

# A seed of 100 machines and 24 hours takes 16 s of processor time. One that fails prints itself; it is told whole by
# go run ./sim/cmd/model -fleet -nodes 100 -seed N -transcript.
SEEDS ?= 100
FIRST ?= 1
.PHONY: soak-model
soak-model: ## Run the model with 100 machines for 24 hours, from seed to seed (SEEDS=100 FIRST=1)
	go run ./sim/cmd/model -fleet -nodes 100 -seeds $(SEEDS) -seed $(FIRST)

.PHONY: dashboards
dashboards: ## Write the dashboards and docs/telemetry.md anew from kit/telemetry/conv
	GOWORK=off go -C kit run ./telemetry/conv/cmd/convdash ../tilt/observability/grafana/dashboards
	GOWORK=off go -C kit run ./telemetry/conv/cmd/convdoc ../docs/telemetry.md

# Real processes and Debian's chromium, so that the pictures of the README are true.
.PHONY: console-images
console-images: ## Kill a service before a real Chromium, and take the screenshots of docs/images anew
	@mkdir -p docs/images
	VOW_SCREENSHOTS=$(ROOT)/docs/images go test -count=1 -v -run '^TestTheConsoleShowsAFaultInARealBrowser$$' ./sim/real

.PHONY: bench-go
bench-go: ## Run the Go benchmarks of every module
	go test -run '^$$' -bench . -benchmem work

# BENCH_SHORT=1 measures less; MEASURES="verdict stream" measures some only.
.PHONY: bench-promise
bench-promise: ## Measure promises: sensors, windows, streams, the bang of an anomaly (BENCH_SHORT=1, MEASURES=…)
	@go run ./bench/promise $(MEASURES)

# BENCH_SHORT=1 takes 2 minutes instead of 5. As root the peer is installed; RUNLEVEL=1 keeps Debian from starting it.
.PHONY: bench-supervise
bench-supervise: ## Measure the supervisor beside Debian's supervisord (BENCH_SHORT=1)
	@if ! command -v supervisord >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq -y --no-install-recommends supervisor >/dev/null || true
	fi
	@go run ./bench/supervise

# BENCH_SHORT=1 takes 2 minutes instead of 4; PROFILE=<directory> keeps profiles of the services.
.PHONY: bench-telemetry
bench-telemetry: ## Measure what telemetry costs the control plane under full load (BENCH_SHORT=1)
	@go run ./bench/telemetry

.PHONY: bench-profile
bench-profile: ## Measure a profile of 50 parts beside Debian's zc.buildout (BENCH_SHORT=1)
	@go run ./bench/profile

# BENCH_SHORT=1 takes 2 minutes instead of 4.
.PHONY: bench-node
bench-node: ## Measure the agent: a run that changes nothing, an idle machine of 100 partitions, a boot (BENCH_SHORT=1)
	@go run ./bench/node

# BENCH_SHORT=1 measures less; MEASURES="store orders rpc overload fanout memory takeover restart" measures some only (docs/control-bench.md).
.PHONY: bench-control
bench-control: ## Measure the control plane: bangs, reports, orders beside asynq, overload, fan-out, memory, takeover, restart (BENCH_SHORT=1, MEASURES=…)
	@go run ./bench/control $(MEASURES)

# ---------------------------------------------------------------------------------------------------------------------
##@ The Debian package of a computer (docs/node.md)

DEB_ARCH ?= $(shell go env GOARCH)
.PHONY: deb
deb: ## Build the Debian package of supervisor, agent and command into dist/ (DEB_VERSION=…, DEB_ARCH=arm64)
	svc-node/debian/build.sh $(DEB_ARCH) dist $(DEB_VERSION)

.PHONY: deb-lint
deb-lint: ## Build the Debian package, and fail if lintian finds an error in it (Debian: lintian)
	@rm -rf $(CACHE)/deb && svc-node/debian/build.sh $(DEB_ARCH) $(CACHE)/deb $(DEB_VERSION)
	lintian --fail-on error $(CACHE)/deb/*.deb

# The root that debootstrap makes in two minutes is kept in .cache.
.PHONY: deb-test
deb-test: deb-pair ## Install, upgrade while an instance runs, remove and purge the package in a debootstrap root (as root)
	VOW_DEB_ROOT=$(CACHE)/deb-root.tar svc-node/debian/test.sh $(CACHE)/deb/vow-node_1.0_$(DEB_ARCH).deb $(CACHE)/deb/vow-node_1.1_$(DEB_ARCH).deb

# Some ten minutes, most of them emulation; the Debian that debootstrap makes in three is kept in .cache/vm.
.PHONY: deb-vm
deb-vm: deb-pair ## The whole life of the package on a virtual machine: systemd, a reboot, cgroup limits for real (as root; Debian: qemu-system-x86 debootstrap)
	svc-node/debian/vm.sh $(CACHE)/deb/vow-node_1.0_$(DEB_ARCH).deb $(CACHE)/deb/vow-node_1.1_$(DEB_ARCH).deb

.PHONY: deb-pair
deb-pair:
	@rm -rf $(CACHE)/deb && mkdir -p $(CACHE)/deb
	svc-node/debian/build.sh $(DEB_ARCH) $(CACHE)/deb 1.0
	svc-node/debian/build.sh $(DEB_ARCH) $(CACHE)/deb 1.1

# ---------------------------------------------------------------------------------------------------------------------
##@ Cluster (docs/cluster.md)

.PHONY: cluster-local
cluster-local: ## Run the local cluster without Tilt, until Ctrl-C: two of each service, three nodes
	GOWORK=off go -C tools/cluster build -buildvcs=false -o $(CACHE)/session ./cmd/session
	exec $(CACHE)/session -root $(ROOT) -stay

# What Tilt would run, as far as it needs neither Tilt nor a cluster: the Tiltfile in both modes, manifests, the image builder; then the local mode itself.
.PHONY: cluster-test
cluster-test: ## Evaluate the Tiltfile and the manifests, bring the local cluster up, bang it
	GOWORK=off go -C tools/cluster vet ./...
	GOWORK=off go -C tools/cluster test -count=1 ./... # the files that it reads are not its module's
	tilt/scripts/test.sh

.PHONY: images
images: ## Build the image of every service into dist/images/, without a daemon
	GOWORK=off go -C tools/cluster run ./cmd/image -root $(ROOT) -out $(ROOT)/dist/images

.PHONY: images-check
images-check: images ## Run the program of every image in it, as its user
	GOWORK=off go -C tools/cluster test -count=1 -v -tags images -run '^TestBuiltImages$$' ./image

# Each program takes minutes the first time. etcd is Debian's etcd-server.
KUBERNETES := $(CACHE)/kubernetes
.PHONY: k8s-validate
k8s-validate: $(KUBERNETES)/kube-apiserver ## Have a real kube-apiserver validate every object of tilt/k8s
	@command -v etcd >/dev/null || { echo 'cannot validate without etcd (Debian: etcd-server)' >&2; exit 1; }
	GOWORK=off go -C tools/cluster run ./cmd/validate -root $(ROOT) -apiserver $<

# As root on Linux with cgroups of version 1; Debian: etcd-server containerd runc containernetworking-plugins nftables redis-server prometheus. K8S_FLAGS=-stay keeps it to look at.
.PHONY: k8s-run
k8s-run: k8s-programs ## Do what tilt ci does on a Kubernetes made here, and take the fleet apart (as root, K8S_FLAGS=-stay)
	exec $(KUBERNETES)/run -root $(ROOT) -programs $(KUBERNETES) $(K8S_FLAGS)

.PHONY: k8s-run-ha
k8s-run-ha: k8s-programs ## Run tilt/k8s/ha on three machines made here, and lose them (as root, K8S_FLAGS=-stay)
	exec $(KUBERNETES)/run -root $(ROOT) -programs $(KUBERNETES) -ha $(K8S_FLAGS)

.PHONY: k8s-programs
k8s-programs: $(addprefix $(KUBERNETES)/,kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl coredns)
	CGO_ENABLED=0 GOWORK=off go -C tools/cluster build -buildvcs=false -o $(KUBERNETES)/run ./cmd/kubernetes

$(KUBERNETES)/kube%: tools/kubernetes/go.sum
	@mkdir -p $(@D)
	CGO_ENABLED=0 GOWORK=off go -C tools/kubernetes build -trimpath -ldflags '-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3' -o $@ k8s.io/kubernetes/cmd/$(@F)

$(KUBERNETES)/coredns: tools/coredns/go.sum tools/coredns/main.go
	@mkdir -p $(@D)
	CGO_ENABLED=0 GOWORK=off go -C tools/coredns build -trimpath -ldflags '-s -w' -o $@ .

.PHONY: tilt-ci
tilt-ci: ## Run tilt ci in both modes, where tilt is on PATH (TILT_MODES="local kubernetes")
	@command -v tilt >/dev/null || { echo 'cannot run tilt ci: no tilt on PATH' >&2; exit 1; }
	for mode in $(or $(TILT_MODES),local kubernetes); do tilt ci -f tilt/Tiltfile --port 0 -- --mode=$$mode; done

# ---------------------------------------------------------------------------------------------------------------------
##@ Contract

VALIDATE_PROTO := $(CACHE)/protovalidate/buf/validate/validate.proto
PROTOC_PLUGINS := $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc $(BIN)/protoc-gen-connect-go $(BIN)/protoc-gen-reference

NODE_TOOLS     := tools/buf/node_modules/.package-lock.json

# What is generated from the contract. TypeScript's generator is an npm package: where there is no npm, gen/ts stays as it is.
NPM       := $(shell command -v npm)
GENERATED := gen/vow docs/api $(if $(NPM),gen/ts/vow gen/ts/buf)

# buf writes to .cache first: a contract that does not compile must not empty gen/ for everyone who builds meanwhile.
GENERATE = rm -rf $(CACHE)/generate && $(BUF) generate -o $(CACHE)/generate \
  $(if $(NPM),&& $(BUF) generate --template buf.gen.ts.yaml -o $(CACHE)/generate) && cd $(CACHE)/generate && mkdir -p $(GENERATED) && cd $(ROOT)

.PHONY: generate
generate: proto-tools ## Format proto/ and regenerate gen/ and docs/api/ from it
	$(BUF) format -w proto
	$(GENERATE)
	for d in $(GENERATED); do
	  mkdir -p $$d && rm -rf $$d.old && mv $$d $$d.old && mv $(CACHE)/generate/$$d $$d && rm -rf $$d.old
	done
	GOWORK=off go -C gen mod tidy
	GOWORK=off go -C gen build ./...

.PHONY: generate-check
generate-check: proto-tools ## Fail if proto/ is not formatted, or gen/ or docs/api/ is not what it generates
	$(BUF) format -d --exit-code proto || { echo 'proto/ is not formatted: run make generate' >&2; exit 1; }
	[ -n "$(NPM)$(if $(CI),,elsewhere)" ] || { echo 'cannot check gen/ts without npm' >&2; exit 1; }
	$(GENERATE)
	for d in $(GENERATED); do
	  diff -ru $$d $(CACHE)/generate/$$d || { echo "$$d is not what proto/ generates: run make generate" >&2; exit 1; }
	done

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
proto-tools: $(BUF) $(if $(NPM),$(NODE_TOOLS)) $(PROTOC_PLUGINS) $(VALIDATE_PROTO)

# not npm ci: it refuses a lock without the platforms that a registry does not offer; --no-save keeps the lock as it is
$(NODE_TOOLS): tools/buf/package-lock.json
	npm install --prefix tools/buf --no-save --no-fund --no-audit --loglevel=error
	touch $@

# npm's buf takes seconds; the same version built by Go takes three minutes and is what is used where npm is missing.
BUF_VERSION := $(shell sed -n 's/.*"@bufbuild\/buf": "\(.*\)".*/\1/p' $(ROOT)/tools/buf/package.json)
$(BUF): $(if $(NPM),$(NODE_TOOLS),tools/buf/package-lock.json)
	@mkdir -p $(BIN)
	if [ -n "$(NPM)" ]; then
	  ln -sfn ../tools/buf/node_modules/.bin/buf $@
	else
	  rm -f $@ && GOWORK=off GOBIN=$(BIN) go install github.com/bufbuild/buf/cmd/buf@v$(BUF_VERSION)
	fi
	touch $@ # the file behind the link, which is what make looks at

$(PROTOC_PLUGINS) &: tools/protoc/go.sum $(wildcard $(ROOT)/tools/protoc/cmd/*/*.go)
	GOWORK=off GOBIN=$(BIN) go -C tools/protoc install tool
	touch $(PROTOC_PLUGINS)

$(VALIDATE_PROTO): tools/protovalidate/go.sum
	mkdir -p $(@D)
	GOWORK=off go -C tools/protovalidate mod download github.com/bufbuild/protovalidate
	install -m 644 "$$(GOWORK=off go -C tools/protovalidate list -m -f '{{.Dir}}' github.com/bufbuild/protovalidate)/proto/protovalidate/buf/validate/validate.proto" $@

$(BIN)/golangci-lint: tools/lint/go.sum
	GOWORK=off GOBIN=$(BIN) go -C tools/lint install tool
	touch $@

$(BIN)/testreport: $(wildcard tools/check/cmd/testreport/*.go)
	GOWORK=off go -C tools/check build -buildvcs=false -o $@ ./cmd/testreport
