package cashier

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

//go:embed assets/cashier.css assets/cashier.js
var assetFiles embed.FS

// assetPath begins the addresses of assets.
const assetPath = "/checkout-assets/"

// asset is one file under an address that names its content, so that a browser
// never has to ask twice and never has an old one.
type asset struct {
	path, media string
	content     []byte
}

// loadAssets returns the assets by their address, and the address by their name.
func loadAssets() (byPath map[string]asset, paths map[string]string, err error) {
	byPath, paths = map[string]asset{}, map[string]string{}
	for name, media := range map[string]string{
		"cashier.css": "text/css; charset=utf-8", "cashier.js": "text/javascript; charset=utf-8",
	} {
		content, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			return nil, nil, fmt.Errorf("asset: %w", err)
		}
		digest := sha256.Sum256(content)
		base, ending, _ := strings.Cut(name, ".")
		path := assetPath + base + "." + hex.EncodeToString(digest[:8]) + "." + ending
		byPath[path] = asset{path, media, content}
		paths[name] = path
	}
	return byPath, paths, nil
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.media)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}
