package tidytest

import (
	"fmt"
	"slices"
	"strings"
)

// importRule says what the packages of one folder may import of ours. A
// pattern names a package; with /... it also names everything below.
type importRule struct {
	of  string
	may []string
}

// coreOrder is the order inside core: a package may import those of earlier rows.
func coreOrder() [][]string {
	return [][]string{
		{"core/fault", "core/secret", "core/status"},
		{"core/access", "core/audit", "core/session"},
		{"core/accept", "core/clock", "core/event", "core/tenant", "core/party"},
		{"core/channel", "core/approval", "core/returns", "core/unresolved"},
		{"core/books", "core/account"},
		{"core/payment"},
		{"core/split", "core/payout", "core/transfer", "core/paymentlink", "core/oauth"},
		{"core/refund"},
		{"core/recon", "core/notice"},
	}
}

// importRules is the table of docs/architecture.md, first match first.
func importRules() []importRule {
	base := []string{"internal/id", "internal/pg", "internal/telemetry"}
	with := func(more ...string) []string { return append(slices.Clone(base), more...) }
	rules := []importRule{
		{"money", nil},
		{"migrations", nil},
		{"client", nil},
		{"sandbox/...", []string{"sandbox/..."}},
		{"ledger", with("money", "core/fault", "internal/chain")},
	}
	var earlier []string
	for _, row := range coreOrder() {
		for _, of := range row {
			rules = append(rules, importRule{of, with(append(slices.Clone(earlier), "money", "ledger", "internal/chain")...)})
		}
		earlier = append(earlier, row...)
	}
	return append(rules,
		importRule{"channels/...", []string{"channels/internal/...", "core/channel", "core/fault", "internal/failpoint",
			"internal/telemetry", "money"}},
		importRule{"activities", with("money", "ledger", "core/...")},
		importRule{"workflows", with("money", "core/...", "activities")},
		importRule{"api/...", with("api/...", "money", "ledger", "core/...", "activities", "workflows")},
		importRule{"internal/id", nil},
		importRule{"internal/telemetry", []string{"internal/id"}},
		importRule{"internal/telemetry/temporaltrace", []string{"internal/telemetry"}},
		importRule{"internal/telemetry/tracetest", nil},
		importRule{"internal/failpoint", nil},
		importRule{"internal/failpoint/intercept", []string{"internal/failpoint"}},
		importRule{"internal/chain", nil},
		importRule{"internal/pg", []string{"internal/failpoint", "internal/id", "internal/telemetry"}},
		importRule{"internal/config/...", []string{"internal/config"}},
		importRule{"internal/payload", nil},
		importRule{"internal/child", nil},
		importRule{"internal/freeport", nil},
		importRule{"internal/postgres", []string{"internal/child"}},
		importRule{"internal/temporaldev", []string{"internal/child"}},
		importRule{"internal/devstack", []string{"internal/child", "internal/config", "internal/postgres",
			"internal/temporaldev"}},
		importRule{"internal/pgtest", []string{"internal/id", "internal/pg", "internal/postgres", "migrations"}},
		importRule{"internal/temporaltest", []string{"internal/freeport", "internal/id", "internal/temporaldev"}},
		importRule{"internal/testenv", []string{"internal/pgtest", "internal/temporaltest"}},
		importRule{"internal/composecheck", []string{"internal/child", "internal/config", "internal/freeport", "internal/postgres",
			"internal/temporaldev", "internal/temporalserver"}},
		importRule{"internal/tidytest/...", []string{"internal/tidytest"}},
		importRule{"internal/demo", []string{"client"}},
		importRule{"internal/clientgen", nil},
		importRule{"internal/killtest", nil},
		importRule{"internal/temporalserver", []string{"internal/child", "internal/freeport", "internal/temporaldev"}},
		importRule{"internal/chaos", []string{"client", "internal/child", "internal/config", "internal/devseed", "internal/freeport",
			"internal/postgres", "internal/temporaldev", "internal/temporalserver"}},
		importRule{"internal/seededbugs", nil},
		importRule{"internal/bench", with("money", "ledger", "core/...", "api", "internal/app", "internal/child", "internal/config",
			"internal/postgres")},
		importRule{"internal/app", with("money", "ledger", "core/...", "internal/chain", "channels/...", "activities", "workflows", "api/...",
			"migrations", "internal/config", "internal/failpoint/...", "internal/payload", "internal/telemetry/temporaltrace",
			"internal/temporaldev")},
		importRule{"internal/devseed", with("money", "ledger", "channels/keys", "core/channel", "core/fault", "core/secret", "core/tenant",
			"internal/app", "internal/config")},
		importRule{"internal/ledgertest", with("money", "ledger", "core/tenant", "internal/app", "internal/postgres")},
		importRule{"internal/crashmatrix", []string{"internal/app", "workflows"}},
		importRule{"examples/...", []string{"client"}},
		importRule{"worker", with("internal/app", "internal/config", "internal/failpoint")},
		importRule{"starter", with("ledger", "internal/app", "internal/config", "internal/devseed", "internal/devstack",
			"internal/demo", "internal/failpoint")},
	)
}

// ImportDirections checks every import between packages of ours. Tests may
// import more (they build whole scenes), production code may not import the
// packages that help tests: no rule lists them.
func ImportDirections(m *Module) []Violation {
	var found []Violation
	m.production(func(p *Package, f *File) {
		rule, known := ruleOf(p.Dir)
		if !known {
			found = append(found, Violation{"imports", p.Dir,
				"this folder has no row in the table of imports (internal/tidytest/imports.go): add one, or move the code"})
			return
		}
		for path, node := range importsOf(f) {
			dir, ours := m.ours(path)
			if ours && !matchesAny(dir, rule.may) {
				found = append(found, Violation{"imports", m.at(node),
					fmt.Sprintf("%s may not import %s (docs/architecture.md, \"who imports whom\")", p.Dir, dir)})
			}
		}
	})
	return found
}

func ruleOf(dir string) (importRule, bool) {
	for _, rule := range importRules() {
		if matchesAny(dir, []string{rule.of}) {
			return rule, true
		}
	}
	return importRule{}, false
}

func matchesAny(dir string, patterns []string) bool {
	for _, pattern := range patterns {
		folder, deep := strings.CutSuffix(pattern, "/...")
		if dir == folder || deep && under(dir, folder) {
			return true
		}
	}
	return false
}

// foreignRule keeps somebody else's packages in one place.
type foreignRule struct {
	prefix  string
	folders []string
	why     string
}

func foreignRules() []foreignRule {
	return []foreignRule{
		{"github.com/smartwalle/", []string{"channels"}, "vendor SDKs stay behind the channel port"},
		{"github.com/wechatpay-apiv3/", []string{"channels"}, "vendor SDKs stay behind the channel port"},
		{"github.com/gin-gonic/", []string{"api"}, "the HTTP framework stays in api"},
		{"github.com/shopspring/decimal", []string{"channels", "money", "core/channel", "core/recon", "core/split"},
			"decimals are only for rates and for the yuan text at the providers' edge"},
		{"go.temporal.io/sdk/workflow", []string{"workflows", "internal/failpoint/intercept", "internal/payload",
			"internal/telemetry/temporaltrace"},
			"orchestration stays in workflows"},
		{"github.com/spf13/cobra", []string{"starter"}, "the command line stays in starter"},
		{"github.com/prometheus/", []string{"internal/telemetry"}, "metrics are made in one place"},
		{"go.opentelemetry.io/", []string{"internal/telemetry"}, "what a span can say is decided in one place"},
		{"encoding/xml", nil, "nothing that comes from outside is XML here, so no entity of it is ever expanded"},
		{"github.com/sony/gobreaker", []string{"channels/guard"}, "breakers stand around providers only"},
		{"crypto/md5", []string{"sandbox/keys"}, "MD5 proves nothing; the sandbox names certificates by it, as Alipay does"},
		{"crypto/sha1", []string{"channels/wechatpay", "sandbox/wechatpay"},
			"SHA-1 proves nothing; WeChat Pay prints it for bills, whose own digest here is SHA-256"},
		{"crypto/des", nil, "DES is broken"},
		{"crypto/rc4", nil, "RC4 is broken"},
		{"math/rand", []string{"core/event", "internal", "sandbox"},
			"it can be foretold: secrets come from crypto/rand; pauses and tests may be drawn from it"},
		{"text/template", nil, "it escapes nothing: pages are html/template"},
		{"encoding/gob", nil, "it makes what the sender says it is: messages are JSON or protobuf, held against a contract"},
		{"plugin", nil, "code comes with the build"},
		{"unsafe", nil, "memory is Go's"},
		{"os/exec", processStarters(), "only what serves development and tests starts programs"},
	}
}

// processStarters are the folders that may start other programs. None of them takes part
// in serving a request.
func processStarters() []string {
	return []string{"internal/bench", "internal/chaos", "internal/child", "internal/composecheck", "internal/devstack",
		"internal/killtest", "internal/ledgertest", "internal/postgres", "internal/seededbugs", "internal/temporaldev",
		"internal/temporalserver", "internal/testenv"}
}

// ForeignPackages checks imports of packages that have one home.
func ForeignPackages(m *Module) []Violation {
	var found []Violation
	m.production(func(p *Package, f *File) {
		for path, node := range importsOf(f) {
			for _, rule := range foreignRules() {
				if strings.HasPrefix(path, rule.prefix) && !under(p.Dir, rule.folders...) {
					found = append(found, Violation{"foreign packages", m.at(node),
						fmt.Sprintf("%s is only for %s: %s", path, strings.Join(rule.folders, ", "), rule.why)})
				}
			}
		}
	})
	return found
}
