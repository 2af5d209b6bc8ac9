package api

import (
	"crypto/ed25519"
	"encoding/base64"
	"flag"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
)

var (
	forgeries = flag.Int("forged.signatures", 1500, "how many forged, replayed and stale signatures TestNoForgedSignatureIsTaken sends")
	forgeSeed = flag.Uint64("forged.seed", 7, "seed of the forgeries")
)

// forger makes requests that nobody signed like this.
type forger struct {
	*signatory
	random *rand.Rand
	// stranger has a key of its own under the same tenant.
	stranger *signatory
	// used was accepted once.
	used     *http.Request
	usedBody string
}

// flipped is text with one character that is another one.
func (g *forger) flipped(text string) string {
	out := []byte(text)
	at := g.random.IntN(len(out))
	for was := out[at]; out[at] == was; {
		out[at] = byte(0x21 + g.random.IntN(0x7e-0x21))
	}
	return string(out)
}

// forgery turns a request that is signed well into one that is not, and its body.
type forgery func(r *http.Request, body string) (*http.Request, string)

// kinds are the ways to forge.
func (g *forger) kinds() map[string]forgery {
	all := g.texts()
	maps.Copy(all, g.times())
	maps.Copy(all, g.others())
	return all
}

// texts change what is written.
func (g *forger) texts() map[string]forgery {
	header := func(name string, change func(string) string) forgery {
		return func(r *http.Request, body string) (*http.Request, string) {
			r.Header.Set(name, change(r.Header.Get(name)))
			return r, body
		}
	}
	cut := func(s string) string { return s[:g.random.IntN(len(s))] }
	return map[string]forgery{
		"a character of the signature": header("Signature", g.flipped), "the signature cut off": header("Signature", cut),
		"a character of its input": header("Signature-Input", g.flipped), "its input cut off": header("Signature-Input", cut),
		"a character of the digest":     header("Content-Digest", g.flipped),
		"another idempotency key":       header("Idempotency-Key", g.flipped),
		"a space in its input":          header("Signature-Input", g.spaced),
		"a parameter more":              header("Signature-Input", func(s string) string { return s + ";x=1" }),
		"another name of the signature": header("Signature-Input", func(s string) string { return strings.Replace(s, "sig1", "sig2", 1) }),
		"two signatures":                header("Signature", func(s string) string { return s + ", " + s }),
		"an expiry later":               header("Signature-Input", func(s string) string { return strings.Replace(s, "expires=1", "expires=2", 1) }),
		"random bytes for a signature":  header("Signature", written(g.noise(64))),
		"nothing for a signature":       header("Signature", func(string) string { return "sig1=::" }),
		"zeros for a signature":         header("Signature", written(make([]byte, 64))),
		"a character of the body": func(r *http.Request, body string) (*http.Request, string) {
			return r, g.flipped(body)
		},
		"a space in the body": func(r *http.Request, body string) (*http.Request, string) {
			return r, body + " "
		},
		"another host": func(r *http.Request, body string) (*http.Request, string) {
			r.Host = "x" + r.Host
			return r, body
		},
	}
}

// times sign other things or for other times than a good signature.
func (g *forger) times() map[string]forgery {
	byHand := func(params func(string, string, int64) string, names []string) forgery {
		return func(_ *http.Request, body string) (*http.Request, string) {
			r := g.unsigned("POST", "/v1/merchants", body)
			g.sign(r, body, params, names...)
			return r, body
		}
	}
	return map[string]forgery{
		"created before": byHand(func(c, n string, now int64) string {
			return g.usual(-301-g.random.Int64N(1e6), 300)(c, n, now)
		}, covered()),
		"created after": byHand(func(c, n string, now int64) string {
			return g.usual(70+g.random.Int64N(1e6), 300)(c, n, now)
		}, covered()),
		"good for too long": byHand(func(c, n string, now int64) string {
			return g.usual(0, 301+g.random.Int64N(1e6))(c, n, now)
		}, covered()),
		"a component left out": byHand(g.usual(0, 300), slices.Delete(covered(), 2, 3)),
		"a component twice":    byHand(g.usual(0, 300), append(covered(), "@path")),
	}
}

// others are signatures of something or somebody else.
func (g *forger) others() map[string]forgery {
	return map[string]forgery{
		"a request used before":            func(*http.Request, string) (*http.Request, string) { return g.used, g.usedBody },
		"a used signature on another body": func(*http.Request, string) (*http.Request, string) { return g.used.Clone(g.t.Context()), g.merchant() },
		"another target": func(r *http.Request, body string) (*http.Request, string) {
			r.RequestURI, r.URL = "/v1/split_rules", &url.URL{Path: "/v1/split_rules"}
			return r, body
		},
		"a query": func(r *http.Request, body string) (*http.Request, string) {
			r.RequestURI += "?limit=1"
			r.URL.RawQuery = "limit=1"
			return r, body
		},
		"a stranger's signature":             g.strangers,
		"a stranger who claims the key's id": g.claimed,
	}
}

// spaced is text with a space inside; one before it does not travel.
func (g *forger) spaced(text string) string {
	at := 1 + g.random.IntN(len(text)-1)
	return text[:at] + " " + text[at:]
}

// written is the header of a signature of these bytes.
func written(signature []byte) func(string) string {
	return func(string) string { return "sig1=:" + base64.StdEncoding.EncodeToString(signature) + ":" }
}

func (g *forger) noise(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(g.random.IntN(256))
	}
	return out
}

func (g *forger) strangers(_ *http.Request, body string) (*http.Request, string) {
	r := g.stranger.request("POST", "/v1/merchants", body)
	r.Header.Set("Authorization", "Bearer "+g.secret)
	return r, body
}

func (g *forger) claimed(_ *http.Request, body string) (*http.Request, string) {
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(g.t, err)
	liar := *g.signatory
	liar.private = private
	r := g.unsigned("POST", "/v1/merchants", body)
	liar.sign(r, body, g.usual(0, 300), covered()...)
	return r, body
}

// Nothing but a fresh signature of the key over exactly this request is taken, by two
// instances, also when they were restarted in between.
func TestNoForgedSignatureIsTaken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.newSignatory("money")
	g := &forger{signatory: s, random: rand.New(rand.NewPCG(*forgeSeed, 0)), stranger: f.newSignatory("money")}
	g.usedBody = s.merchant()
	g.used = s.request("POST", "/v1/merchants", g.usedBody)
	require.Equal(t, http.StatusCreated, s.serve(withBody(g.used, g.usedBody)).Code)
	merchants := f.count(`merchants`)
	kinds := g.kinds()
	names := slices.Sorted(maps.Keys(kinds))
	instances := f.twoInstances()
	statuses, perKind, restarts := map[int]int{}, map[string]int{}, 0
	for n := range *forgeries {
		if n > 0 && n%max(*forgeries/4, 1) == 0 {
			for _, i := range instances {
				i.restart() // nothing is remembered afterwards
			}
			restarts++
		}
		name := names[g.random.IntN(len(names))]
		body := `{"reference":"` + id.Number() + `","name":"n","settlement":"T0"}`
		forged, sent := kinds[name](s.request("POST", "/v1/merchants", body), body)
		asked := *s
		asked.fixture = instances[n%2].fixture
		got := asked.serve(withBody(forged, sent))
		require.True(t, got.Code >= 400 && got.Code < 500, "%s: %d %s\n%v", name, got.Code, got.Body, forged.Header)
		statuses[got.Code]++
		perKind[name]++
	}
	require.Len(t, perKind, len(kinds), "each kind was tried")
	require.Equal(t, merchants, f.count(`merchants`), "something was done")
	require.Equal(t, http.StatusCreated, s.serve(s.request("POST", "/v1/merchants", s.merchant())).Code, "a good one is still taken")
	t.Logf("%d forgeries of %d kinds on two instances, restarted %d times, seed %d: %v; 0 accepted",
		*forgeries, len(kinds), restarts, *forgeSeed, statuses)
}
