package app

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/audit"
	"github.com/suanpan/suanpan/core/clock"
	"github.com/suanpan/suanpan/internal/chain"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
)

// Seal seals what is booked, and what the audit log holds, until now and returns how
// many seals it made.
func Seal(ctx context.Context, cfg config.Core) (int, error) {
	db, err := pg.Open(ctx, cfg.DatabaseURL, pg.Options{MaxConns: 2})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return sealAll(ctx, db)
}

// sealAll seals the books and the audit log.
func sealAll(ctx context.Context, db *pg.DB) (int, error) {
	books, err := ledger.SealNow(ctx, db)
	if err != nil {
		return books, err
	}
	log, err := audit.SealNow(ctx, db)
	return books + log, err
}

// The PEM types of the key that signs anchors; openssl reads and writes both.
const (
	pemPrivate = "PRIVATE KEY"
	pemPublic  = "PUBLIC KEY"
)

// The names of an anchor's two files: what is signed, and the 64 bytes of the
// signature.
const (
	anchorSuffix    = ".anchor.json"
	signatureSuffix = ".anchor.sig"
)

// NewAnchorKey makes the key that signs anchors and writes both halves as PEM.
// It never overwrites a file.
func NewAnchorKey(privateFile, publicFile string) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	if err := writeNew(privateFile, pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: der}), 0o600); err != nil {
		return err
	}
	text, err := publicPEM(public)
	if err != nil {
		return err
	}
	return writeNew(publicFile, text, 0o644)
}

func publicPEM(key ed25519.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: der}), err
}

// PublicAnchorKey returns the public half of a private key file, as PEM.
func PublicAnchorKey(privateFile string) ([]byte, error) {
	key, err := readPrivateKey(privateFile)
	if err != nil {
		return nil, err
	}
	public, _ := key.Public().(ed25519.PublicKey)
	return publicPEM(public)
}

func readPrivateKey(file string) (ed25519.PrivateKey, error) {
	der, err := readPEM(file, pemPrivate)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s is not an Ed25519 private key (PKCS #8): make one with `starter anchor key`", file)
	}
	return key, nil
}

func readPublicKey(file string) (ed25519.PublicKey, error) {
	der, err := readPEM(file, pemPublic)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	key, ok := parsed.(ed25519.PublicKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s is not an Ed25519 public key", file)
	}
	return key, nil
}

func readPEM(file, kind string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s holds no PEM block %q", file, kind)
	}
	return block.Bytes, nil
}

// writeNew writes a file that is not there yet, whole or not at all.
func writeNew(file string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// ExportAnchor seals, signs the hashes of all seals that the anchors in dir do
// not have, and writes the two files of the next anchor. It returns the name of
// the anchor and how many seals it covers. It refuses to continue a folder whose
// anchors do not verify, or a chain that does not continue them.
func ExportAnchor(ctx context.Context, cfg config.Core, dir, privateFile string) (name string, seals int, err error) {
	key, err := readPrivateKey(privateFile)
	if err != nil {
		return "", 0, err
	}
	public, _ := key.Public().(ed25519.PublicKey)
	pins, previous, err := readAnchors(dir, public)
	if err != nil {
		return "", 0, err
	}
	db, err := pg.Open(ctx, cfg.DatabaseURL, pg.Options{MaxConns: 2})
	if err != nil {
		return "", 0, err
	}
	defer db.Close()
	if _, err := sealAll(ctx, db); err != nil {
		return "", 0, err
	}
	var anchor chain.Anchor
	err = db.Snapshot(ctx, func(tx pgx.Tx) (err error) {
		anchor, err = makeAnchor(ctx, tx, pins, previous)
		return err
	})
	if err != nil {
		return "", 0, err
	}
	text, signature, err := anchor.Sign(key)
	if err != nil {
		return "", 0, err
	}
	// The number first: anchors are read in the order of their names.
	name = fmt.Sprintf("%08d-%s", pins.Count()+1, anchor.MadeAt.Format("20060102T150405Z"))
	if err := writeNew(filepath.Join(dir, name+signatureSuffix), signature, 0o644); err != nil {
		return "", 0, err
	}
	return name, anchor.Seals(), writeNew(filepath.Join(dir, name+anchorSuffix), text, 0o644)
}

// makeAnchor takes the new seals of the books and of the audit log.
func makeAnchor(ctx context.Context, tx pgx.Tx, pins *chain.Pins, previous []byte) (chain.Anchor, error) {
	now, err := clock.Now(ctx, tx)
	if err != nil {
		return chain.Anchor{}, err
	}
	books, err := ledger.Chains(ctx, tx)
	if err != nil {
		return chain.Anchor{}, err
	}
	logs, err := audit.Chains(ctx, tx)
	if err != nil {
		return chain.Anchor{}, err
	}
	return chain.MakeAnchor(now, pins, previous, books, logs)
}

// ReadAnchors reads and checks the anchors of a folder, in the order of their names.
func ReadAnchors(dir, publicFile string) (*chain.Pins, error) {
	key, err := readPublicKey(publicFile)
	if err != nil {
		return nil, err
	}
	pins, _, err := readAnchors(dir, key)
	if err == nil && pins.Count() == 0 {
		err = fmt.Errorf("%s holds no anchors (*%s)", dir, anchorSuffix)
	}
	return pins, err
}

func readAnchors(dir string, key ed25519.PublicKey) (pins *chain.Pins, newest []byte, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, file := range files {
		if name, ok := strings.CutSuffix(file.Name(), anchorSuffix); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	pins = &chain.Pins{}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name+anchorSuffix))
		if err != nil {
			return nil, nil, err
		}
		signature, err := os.ReadFile(filepath.Join(dir, name+signatureSuffix))
		if err != nil {
			return nil, nil, err
		}
		if err := pins.Add(key, text, signature); err != nil {
			return nil, nil, fmt.Errorf("the anchor %s: %w", name, err)
		}
		newest = text
	}
	return pins, newest, nil
}
