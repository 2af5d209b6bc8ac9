# Every target that a person may want has a line that `make help` shows.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO ?= go
TOOL := $(GO) tool -modfile=tools/dev/go.mod
VULNCHECK = $(GO) tool -modfile=tools/vulnerabilities/go.mod govulncheck
SBOM = $(GO) tool -modfile=tools/sbom/go.mod cyclonedx-gomod bin -json -noserial -version $(VERSION) -output
STARTER := bin/starter
TYPESCRIPT := client/typescript
TYPESCRIPT_QUICKSTART := examples/typescript-quickstart
# Flags for `starter dev`, such as DEV_FLAGS="--port-base 20000".
DEV_FLAGS ?=
# Flags for the kills, such as KILL_FLAGS="-seed 7 -rounds 3".
KILL_FLAGS ?=
# Flags for the ledger's kills, such as LEDGER_KILL_FLAGS="-seed 7 -kills 50".
LEDGER_KILL_FLAGS ?= -kills 4
# Flags for the measurements, such as BENCH_FLAGS="-rounds 3 -only HTTP".
BENCH_FLAGS ?= -growth 10000000 -append docs/performance.md -charts docs/performance
# Flags for the seeded bugs, such as BUG_FLAGS="-only lock-order".
BUG_FLAGS ?=
# Flags for the chaos run, such as CHAOS_FLAGS="-seed 7 -duration 5m" or CHAOS_FLAGS=-smoke.
CHAOS_FLAGS ?=
# Flags for the crash matrix, such as CRASH_FLAGS='-share 1/8 -seed 7', '-list' or '-cell "withdraw/SendWithdrawal/call.after#1"'.
CRASH_FLAGS ?=
# What attacks the notifications' address, such as ATTACK_FLAGS="-attacks 100000 -attack-seed 7".
ATTACK_FLAGS ?= -attacks 100000 -attack-seed 7
# Bad requests and forged signatures, such as BAD_FLAGS="-bad.requests 10000 -bad.seed 8".
BAD_FLAGS ?= -bad.requests 1000000 -bad.seed 7
FORGE_FLAGS ?= -forged.signatures 100000 -forged.seed 7
IDEMPOTENCY_FLAGS ?= -idempotency.rounds 1000
# What meets unusable answers, such as UNKNOWN_FLAGS="-unknown.seed 8 -unknown.live 1000 -unknown.core 10000".
UNKNOWN_FLAGS ?= -unknown.live 1000 -unknown.core 10000 -unknown.seed 7
# The people among the canaries, such as CANARY_FLAGS="-canaries.people 100 -canaries.seed 8".
CANARY_FLAGS ?= -canaries.people 40 -canaries.seed 7 -canaries.postgres
# What runs against the providers themselves, such as CONTRACT_FLAGS="-run Alipay".
CONTRACT_FLAGS ?=
# What the browser walks, such as SCREENS_FLAGS=-smoke or SCREENS_FLAGS="-only phone".
SCREENS_FLAGS ?=
# The kills of webhook senders, such as HOOK_FLAGS="-hooks.events 1000 -hooks.kills 5 -hooks.seed 9".
HOOK_FLAGS ?= -hooks.events 100000 -hooks.kills 50 -hooks.seed 7
# Where govulncheck looks, such as VULN_FLAGS="-db https://vulndb.example.com".
VULN_FLAGS ?=
# How long each parser is fuzzed.
FUZZ_TIME ?= 2s
# What `make test` tests and how, such as TEST="-race ./ledger/...".
TEST ?= -timeout 15m ./...
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build starter, worker and sandbox into bin/
	@mkdir -p bin
	$(GO) build -ldflags "-X main.version=$(VERSION)" -o bin/ ./starter ./worker ./sandbox/cmd/sandbox

.PHONY: $(STARTER)
$(STARTER): # always asked: Go knows whether it is current
	@mkdir -p bin
	@echo "building bin/starter (the first build takes a few minutes)"
	@$(GO) build -o $(STARTER) ./starter

.PHONY: up
up: $(STARTER) ## Bring the platform up and leave it running (state in .data/)
	@$(STARTER) dev --detach $(DEV_FLAGS)

.PHONY: down
down: $(STARTER) ## Stop what make up or make demo started
	@$(STARTER) dev stop

.PHONY: status
status: $(STARTER) ## Show what runs and where to look
	@$(STARTER) dev status

.PHONY: demo
demo: up ## Run the main job on it and check every fen; the platform stays up to be looked at
	@$(STARTER) demo
	@echo "the platform is still up: make status shows where, make down stops it"

.PHONY: demo-kills
demo-kills: $(STARTER) ## Kill -9 every part of a stack of its own, each in the middle of a demo
	$(GO) run ./internal/killtest -starter $(STARTER) $(KILL_FLAGS)

.PHONY: seeded-bugs
seeded-bugs: ## Put known bugs into the code, one by one, and see that their tests catch them
	$(GO) run ./internal/testenv -- $(GO) run ./internal/seededbugs $(BUG_FLAGS)

.PHONY: rolling
rolling: $(STARTER) ## Restart APIs and workers twenty times under load, as a deployment does
	$(GO) run ./internal/killtest -starter $(STARTER) -rolling 20 $(KILL_FLAGS)

.PHONY: ledger-kills
ledger-kills: ## Kill -9 what posts, and PostgreSQL under it, and look for every acknowledged posting
	$(GO) run ./internal/ledgertest $(LEDGER_KILL_FLAGS)

.PHONY: bench
bench: ## Measure throughput, growth and verify beside pgbench (half an hour; leave the machine alone)
	$(GO) run ./internal/bench $(BENCH_FLAGS)

.PHONY: bench-isolation
bench-isolation: ## Measure what a channel account that takes 30 s for every answer does to the others and to the API (four minutes; leave the machine alone)
	$(GO) test -count=1 -v -run TestASlowAccountSlowsNobodyElse ./channels/guard -isolation.rounds 5 -isolation.for 5s
	$(GO) run ./internal/testenv -- $(GO) test -count=1 -timeout 30m -v -run TestTheAPIBesideASlowAccount ./internal/e2e \
	  -isolation.rounds 5 -isolation.for 12s -patience 4m

.PHONY: chaos
chaos: ## Kill and cut off a loaded platform for 20 minutes and look for every fen (CHAOS_FLAGS="-seed 7", "-smoke")
	$(GO) run ./internal/chaos $(CHAOS_FLAGS)

.PHONY: screens
screens: ## Take a browser through the cashier and the Web UI of the running stack and keep pictures in dist/screens (SCREENS_FLAGS=-smoke)
	@mkdir -p bin dist
	$(GO) build -C tools/screens -o ../../bin/screens .
	bin/screens $(SCREENS_FLAGS)

.PHONY: probes
probes: ## Ask every route for every kind of another tenant's object, by everybody, and again without the application's own check
	$(GO) run ./internal/testenv -- $(GO) test -count=1 -timeout 30m -v -run 'TestForeignObjectsByEverybody|TestRowLevelSecurityAlone' ./api -probes.all

.PHONY: bad-requests
bad-requests: ## Send 1,000,000 bad requests to every route and look that nothing is written (BAD_FLAGS="-bad.seed 8")
	$(GO) run ./internal/testenv -- $(GO) test -count=1 -timeout 60m -v -run TestBadRequests ./api $(BAD_FLAGS)

.PHONY: forgeries
forgeries: $(STARTER) ## Forge, replay and outdate 100,000 signatures of requests, at two API processes that are killed in the middle (FORGE_FLAGS="-forged.seed 8")
	$(GO) run ./internal/testenv -- $(GO) test -count=1 -timeout 60m -v -run TestNoForgedSignature ./api -processes $(CURDIR)/$(STARTER) $(FORGE_FLAGS)

.PHONY: idempotency
idempotency: $(STARTER) ## Send 100 requests with one key at once, 1,000 times, to two API processes of which one is killed now and then, and count objects
	$(GO) run ./internal/testenv -- $(GO) test -count=1 -timeout 60m -v -run TestOneKeyMakesOneObject ./api -processes $(CURDIR)/$(STARTER) $(IDEMPOTENCY_FLAGS)

.PHONY: attacks
attacks: ## Forge, change, replay and misdirect 100,000 notifications and look that nothing changed (ATTACK_FLAGS="-attack-seed 8")
	$(GO) run ./internal/testenv -- $(GO) test -count=1 -timeout 60m -v -run TestForgedNotifications ./internal/e2e $(ATTACK_FLAGS)

.PHONY: products
products: ## Bring every product of every provider to every end, and write the table of docs/channels.md
	$(GO) run ./internal/testenv -- $(GO) test -count=1 -timeout 30m -v -run TestEveryProductToEveryEnd ./internal/e2e \
	  -products.all -products.write -patience 4m

.PHONY: unknowns
unknowns: ## Let every kind of unusable answer meet every operation, 11,000 times, and count numbers and movements (UNKNOWN_FLAGS="-unknown.seed 8")
	$(GO) run ./internal/testenv -- $(GO) test -count=1 -timeout 90m -v -run TestUnknownResults ./internal/e2e $(UNKNOWN_FLAGS)

.PHONY: canaries
canaries: ## Send secrets and people through the platform and look for them in logs, metrics, traces, answers, webhooks, the audit log and both databases
	$(GO) run ./internal/testenv -- $(GO) test -count=1 -timeout 60m -v -run TestCanariesAreNowhere ./internal/e2e $(CANARY_FLAGS)

.PHONY: rotation
rotation: ## Change keys and certificates on both sides while payments come in
	$(GO) run ./internal/testenv -- $(GO) test -count=1 -timeout 30m -v -run TestKeysRotateUnderLoad ./internal/e2e \
	  -rotation.payments 25 -patience 4m

.PHONY: contract
contract: ## Hold the adapters to the providers' own servers, with keys of yours (docs/going-live.md)
	$(GO) test -tags contract -count=1 -timeout 60m -v -run Contract ./channels/channeltest $(CONTRACT_FLAGS)

.PHONY: webhook-kills
webhook-kills: ## Send 100,000 events to receivers half of which fail, kill -9 the senders 50 times, and look for every event
	$(GO) run ./internal/testenv -- $(GO) test -tags slow -count=1 -timeout 120m -v -run TestWebhooksUnderKills ./core/event $(HOOK_FLAGS)

.PHONY: webhook-isolation
webhook-isolation: ## Measure what one endpoint of twenty that hangs does to the others (leave the machine alone)
	$(GO) run ./internal/testenv -- $(GO) test -tags slow -count=1 -timeout 60m -v -run TestABadEndpointSlowsNobody ./core/event -isolation.rounds 5 -isolation.events 100

.PHONY: fuzz
fuzz: ## Fuzz every parser and canonicaliser for a moment each (FUZZ_TIME=60s)
	@git grep -oE '^func Fuzz[A-Za-z0-9]+' -- '*_test.go' | sed -E 's|/[^/]*:func | |' | while read -r dir name; do \
	  out=$$($(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZ_TIME) -fuzzminimizetime 10x "./$$dir" 2>&1) || { echo "$$out"; exit 1; }; \
	  printf '%-26s %-24s %s\n' "$$dir" "$$name" "$$(grep -o 'execs: [0-9]*' <<<"$$out" | tail -1)"; done

.PHONY: crash-matrix
crash-matrix: ## Kill -9 a process at every step of every activity and workflow, one by one (CRASH_FLAGS="-share 1/8 -seed 7")
	$(GO) run ./internal/testenv -- $(GO) test -C internal/crashmatrix -tags chaos -count=1 -timeout 90m -parallel 12 \
	  -run TestCrashMatrix -args $(CRASH_FLAGS)

.PHONY: test
test: ## Run all tests on a real PostgreSQL and a real Temporal server
	$(GO) run ./internal/testenv -- $(GO) test $(TEST)

.PHONY: histories
histories: ## Add histories that the end-to-end tests bring about to the replay corpus, and list what it covers
	$(GO) run ./internal/testenv -- $(GO) test -count=1 ./internal/e2e -record
	$(GO) test -count=1 ./workflows -run Recorded -v | grep -v '^ *---\|^==='

.PHONY: lint
lint: ## gofmt, vet, staticcheck, workflowcheck, tidytest
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	  if [ -n "$$unformatted" ]; then echo "not formatted (gofmt -w):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(GO) vet -tags chaos ./internal/failpoint/... ./internal/crashmatrix
	$(GO) vet -tags contract ./channels/channeltest
	$(GO) vet -tags slow ./core/event
	$(TOOL) workflowcheck ./workflows/...
	$(GO) test -count=1 ./internal/tidytest

.PHONY: generate
generate: ## Regenerate server, clients, docs/configuration.md, the guard's types and the import picture
	cd api && $(GO) tool -modfile=../tools/dev/go.mod oapi-codegen -config oapi-codegen.yaml openapi.yaml
	cd client && $(GO) tool -modfile=../tools/dev/go.mod oapi-codegen -config oapi-codegen.yaml ../api/openapi.yaml
	$(GO) run ./internal/clientgen go client/client.gen.go client/lists.gen.go
	$(GO) run ./internal/clientgen typescript api/openapi.yaml $(TYPESCRIPT)/src/operations.gen.ts
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(TYPESCRIPT)/node_modules && npm --prefix $(TYPESCRIPT) run --silent generate; \
	  else echo "npm is not here: $(TYPESCRIPT)/src/schema.gen.ts stays as it is"; fi
	$(GO) run ./internal/config/gen docs/configuration.md
	$(GO) run ./channels/guard/gen channels/guard/shapes_gen.go
	$(GO) run ./internal/tidytest/gen docs/architecture.md

.PHONY: verify
verify: contract-check ## Regenerate everything and fail if a committed file differs, or if the contract breaks its promises
	@before=$$(git status --porcelain); diff_before=$$(git diff | sha256sum); \
	  $(MAKE) --no-print-directory generate; \
	  if [ "$$before" != "$$(git status --porcelain)" ] || [ "$$diff_before" != "$$(git diff | sha256sum)" ]; then \
	    echo "generated files were stale; the new ones are in place, commit them:"; git status --short; exit 1; fi

.PHONY: contract-check
contract-check: ## Fail if openapi.yaml breaks what api/openapi.baseline.yaml promised to callers
	@$(TOOL) oasdiff breaking --color never --severity-levels api/openapi.levels.txt --fail-on ERR \
	  api/openapi.baseline.yaml api/openapi.yaml || { \
	  echo "callers of /v1 would break: add beside instead of changing, or move the promise by make contract-baseline"; exit 1; }

.PHONY: contract-baseline
contract-baseline: ## Make openapi.yaml as it is what contract-check holds later changes against
	cp api/openapi.yaml api/openapi.baseline.yaml

$(TYPESCRIPT)/node_modules $(TYPESCRIPT_QUICKSTART)/node_modules: %/node_modules: %/package-lock.json
	npm --prefix $* ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

.PHONY: client-typescript
client-typescript: $(TYPESCRIPT)/node_modules ## Build the TypeScript client, which the TypeScript quick start imports
	npm --prefix $(TYPESCRIPT) run --silent build

.PHONY: client-test
client-test: up client-typescript $(TYPESCRIPT_QUICKSTART)/node_modules ## Test the TypeScript client and run the quick starts against the running platform
	cd $(TYPESCRIPT) && npm test --silent && npm run --silent check-package && npm run --silent test-stack
	$(GO) run ./examples/go-quickstart
	cd $(TYPESCRIPT_QUICKSTART) && npm start --silent

.PHONY: check-compose
check-compose: ## Start the Temporal server with docker-compose.temporal.yml's settings (first build ≈ 4 minutes)
	$(GO) run ./internal/composecheck

.PHONY: release
release: ## Static binaries for linux/amd64 and linux/arm64 with checksums, in dist/
	@rm -rf dist && mkdir -p dist
	@for arch in amd64 arm64; do \
	  for program in ./starter ./worker ./sandbox/cmd/sandbox; do \
	    out=dist/suanpan-$$(basename $$program)-$(VERSION)-linux-$$arch; echo $$out; \
	    CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build -trimpath -tags timetzdata -ldflags "$(LDFLAGS)" -o $$out $$program; \
	    $(SBOM) $$out.cdx.json $$out; \
	  done; done
	@cd dist && sha256sum suanpan-* > SHA256SUMS && cat SHA256SUMS

.PHONY: sbom
sbom: build ## List every component of the programs and of the TypeScript client in CycloneDX, in dist/
	@mkdir -p dist
	@for program in starter worker sandbox; do $(SBOM) dist/suanpan-$$program.cdx.json bin/$$program; done
	@npm --prefix $(TYPESCRIPT) sbom --package-lock-only --sbom-format cyclonedx >dist/suanpan-typescript.cdx.json
	@ls dist/*.cdx.json

.PHONY: vulnerabilities
vulnerabilities: ## Ask the databases of known weaknesses about every component; also fails when they cannot be reached (VULN_FLAGS)
	@failed=0; code=0; $(VULNCHECK) $(VULN_FLAGS) ./... || code=$$?; case $$code in \
	  0) ;; \
	  3) failed=1; echo "Go: known weaknesses are in what we call, see above" ;; \
	  *) failed=1; echo "Go: NOT CHECKED, govulncheck ended with $$code: its database could not be reached, or the code does not build" ;; esac; \
	for dir in $(TYPESCRIPT) $(TYPESCRIPT_QUICKSTART); do \
	  if out=$$(npm --prefix $$dir audit --package-lock-only --json 2>/dev/null); then echo "npm: $$dir: nothing known"; \
	  elif grep -q '"auditReportVersion"' <<<"$$out"; then failed=1; npm --prefix $$dir audit --package-lock-only || true; echo "npm: $$dir: known weaknesses, see above"; \
	  else failed=1; echo "npm: $$dir: NOT CHECKED, the registry did not answer"; fi; done; exit $$failed

.PHONY: clean
clean: ## Stop the platform and remove its state, bin/ and dist/ (the Temporal CLI stays in the user's cache)
	@if [ -e .data ]; then $(GO) run ./starter dev clean; fi
	rm -rf bin dist
