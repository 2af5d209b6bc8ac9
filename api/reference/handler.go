package reference

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:embed assets/page.html assets/reference.css assets/reference.js
var assets embed.FS

// The addresses of the page and its two files.
const (
	PagePath   = "/docs"
	StylePath  = "/docs/reference.css"
	ScriptPath = "/docs/reference.js"
)

// policy lets the page use its own two files and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// file is one answer, ready to be sent.
type file struct {
	media, tag     string
	plain, gzipped []byte
}

// Handler serves the page and its files. It is safe for concurrent use.
type Handler struct{ files map[string]file }

// New makes the page. An error names what the contract lacks.
func New(doc *openapi3.T) (*Handler, error) {
	p, err := pageOf(doc)
	if err != nil {
		return nil, err
	}
	t, err := template.ParseFS(assets, "assets/page.html")
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	h := &Handler{files: map[string]file{}}
	for path, name := range map[string]string{StylePath: "reference.css", ScriptPath: "reference.js"} {
		content, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("reference: %w", err)
		}
		media := "text/css; charset=utf-8"
		if path == ScriptPath {
			media = "text/javascript; charset=utf-8"
		}
		if err := h.add(path, media, content); err != nil {
			return nil, err
		}
	}
	// A new file is another address, so that a browser never mixes two versions.
	p.CSS, p.JS = StylePath+"?"+h.files[StylePath].tag, ScriptPath+"?"+h.files[ScriptPath].tag
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	return h, h.add(PagePath, "text/html; charset=utf-8", b.Bytes())
}

func (h *Handler) add(path, media string, content []byte) error {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	if _, err := w.Write(content); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	digest := sha256.Sum256(content)
	h.files[path] = file{media: media, tag: hex.EncodeToString(digest[:8]), plain: content, gzipped: packed.Bytes()}
	return nil
}

// ServeHTTP answers a GET of one of the three addresses.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, found := h.files[r.URL.Path]
	if !found {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", f.media)
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", `"`+f.tag+`"`)
	header.Set("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == `"`+f.tag+`"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	content := f.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		content = f.gzipped
	}
	_, _ = w.Write(content)
}
