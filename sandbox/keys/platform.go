package keys

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Certified is one of a provider's certificates with its private key. Serial is
// what messages name it by: the number in hex at WeChat Pay, AlipaySN at Alipay.
type Certified struct {
	Serial      string
	Key         *rsa.PrivateKey
	Certificate *x509.Certificate
}

// Stage is a step in the change from one certificate or key to the next, in
// the order the provider takes them.
type Stage string

const (
	// Publish makes a new certificate known; the old one goes on signing.
	Publish Stage = "publish"
	// Switch lets the newest certificate sign; the old one is still known.
	Switch Stage = "switch"
	// Retire forgets all certificates but the newest.
	Retire Stage = "retire"
)

// ErrStage says that a stage does not fit where the certificates stand.
var ErrStage = errors.New("this stage does not follow")

// certificates holds those of a provider in force, oldest first, and which signs. What
// it is at is a small file beside the keys, so a restart goes on with it.
type certificates struct {
	mu  sync.RWMutex
	dir string
	// stem begins the files' names, owner is whom the certificates name.
	stem, owner string
	serial      func(*x509.Certificate) string
	state       generations
	known       []Certified
}

type generations struct {
	// Generations are the numbers of the certificates in force; 1 is the first.
	Generations []int `json:"generations"`
	Signing     int   `json:"signing"`
}

func loadPlatform(dir string) (*certificates, error) {
	return loadCertificates(&certificates{dir: dir, stem: "wechatpay_platform", owner: "Tenpay.com sign",
		serial: func(c *x509.Certificate) string { return fmt.Sprintf("%X", c.SerialNumber) }})
}

func loadCertificates(p *certificates) (*certificates, error) {
	p.state = generations{Generations: []int{1}, Signing: 1}
	text, err := os.ReadFile(p.statePath())
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(text, &p.state); err != nil || len(p.state.Generations) == 0 {
			return nil, fmt.Errorf("%s is damaged: delete it to begin with the first certificate", p.statePath())
		}
	}
	for _, generation := range p.state.Generations {
		loaded, err := p.load(generation)
		if err != nil {
			return nil, err
		}
		p.known = append(p.known, loaded)
	}
	return p, nil
}

func (p *certificates) statePath() string { return filepath.Join(p.dir, p.stem+".json") }

// load reads or makes the key and the certificate of a generation.
func (p *certificates) load(generation int) (Certified, error) {
	name := p.stem + "_"
	if generation > 1 {
		name += fmt.Sprintf("%d_", generation)
	}
	key, err := loadOrCreateKey(filepath.Join(p.dir, name+"private_key.pem"))
	if err != nil {
		return Certified{}, err
	}
	certificate, err := loadOrCreateCertificate(filepath.Join(p.dir, name+"certificate.pem"), p.owner, key)
	if err != nil {
		return Certified{}, err
	}
	return Certified{Serial: p.serial(certificate), Key: key, Certificate: certificate}, nil
}

// Platform is the certificate that signs now.
func (k *Keys) Platform() Certified { return k.platform.signing() }

func (p *certificates) signing() Certified {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.known[slices.Index(p.state.Generations, p.state.Signing)]
}

// PlatformCertificates are those in force, oldest first.
func (k *Keys) PlatformCertificates() []Certified { return k.platform.inForce() }

func (p *certificates) inForce() []Certified {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Clone(p.known)
}

// PlatformBySerial finds a certificate in force by its serial in hex.
func (k *Keys) PlatformBySerial(serial string) (Certified, bool) {
	for _, c := range k.PlatformCertificates() {
		if strings.EqualFold(c.Serial, serial) {
			return c, true
		}
	}
	return Certified{}, false
}

// Rotate takes one stage of a change of the platform certificate. It returns
// ErrStage if the stage does not fit, and then changes nothing.
func (k *Keys) Rotate(stage Stage) error { return k.platform.rotate(stage) }

func (p *certificates) rotate(stage Stage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	state, known := p.state, slices.Clone(p.known)
	newest := state.Generations[len(state.Generations)-1]
	switch {
	case stage == Publish && state.Signing == newest:
		made, err := p.load(newest + 1)
		if err != nil {
			return err
		}
		state.Generations, known = append(slices.Clone(state.Generations), newest+1), append(known, made)
	case stage == Switch && state.Signing != newest:
		state.Signing = newest
	case stage == Retire && state.Signing == newest && len(known) > 1:
		state.Generations, known = []int{newest}, known[len(known)-1:]
	default:
		return fmt.Errorf("%w: %q, with certificates %v in force and %d signing", ErrStage, stage, state.Generations, state.Signing)
	}
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	if err := writeFile(p.statePath(), text); err != nil {
		return err
	}
	p.state, p.known = state, known
	return nil
}
