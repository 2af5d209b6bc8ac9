package payload

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// tokenPrefix lets a token be recognised where it does not belong.
const tokenPrefix = "spo_"

// operatorName is who may be named in the file and in the log.
var operatorName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,63}$`)

// NewToken draws a token for an operator and the line of the file that lets it in.
// The line holds only a digest: the token has 256 random bits, so it needs no salt.
func NewToken(operator string) (token, line string, err error) {
	if !operatorName.MatchString(operator) {
		return "", "", errors.New("an operator's name has 1 to 64 small letters, digits and . _ @ -")
	}
	random := make([]byte, 32)
	rand.Read(random)
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	return token, operator + " " + digest(token) + "\n", nil
}

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// operators are who may have payloads decrypted: digest of the token → name.
type operators map[string]string

// readOperators reads the file anew, so that taking a line out takes effect at once.
func readOperators(file string) (operators, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	known := operators{}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, of, ok := strings.Cut(line, " ")
		if !ok || !operatorName.MatchString(name) || len(of) != sha256.Size*2 {
			return nil, fmt.Errorf("%s, line %d: not an operator's name and a digest; "+
				"make one with `starter codec new-token NAME`", file, i+1)
		}
		known[of] = name
	}
	return known, nil
}

// who returns the operator with that token.
func (o operators) who(token string) (name string, ok bool) {
	given := digest(token)
	for of, candidate := range o {
		if subtle.ConstantTimeCompare([]byte(of), []byte(given)) == 1 {
			name, ok = candidate, true
		}
	}
	return name, ok && strings.HasPrefix(token, tokenPrefix)
}
