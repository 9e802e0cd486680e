package asset

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
)

//go:embed file/* vendored/*.js vendored/*.css
var embedded embed.FS

// Files is what is served below /assets/.
type Files struct {
	urls  map[string]string // by file name
	files map[string]file   // by URL
}

type file struct {
	content   []byte
	mediaType string
}

// Scripts is the name of what a page runs, as one file: htmx begins as soon as no script is running, and an extension
// that came later than that, in a file of its own, would be registered and never used: a page that looks live and is not.
const Scripts = "scripts.js"

// ordered is what Scripts is made of: each may use those before it.
var ordered = []string{"vendored/htmx.min.js", "vendored/hx-sse.min.js", "vendored/uPlot.iife.min.js", "file/console.js"}

// New reads the embedded files.
func New() (*Files, error) {
	f := &Files{urls: map[string]string{}, files: map[string]file{}}
	add := func(name string, content []byte) {
		sum := sha256.Sum256(content)
		url := "/assets/" + hex.EncodeToString(sum[:8]) + "/" + name
		f.urls[name], f.files[url] = url, file{content, mime.TypeByExtension(path.Ext(name))}
	}
	var scripts bytes.Buffer
	for _, p := range ordered {
		content, err := embedded.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("cannot read the console's scripts: %w", err)
		}
		scripts.Write(content)
		scripts.WriteString("\n;\n") // whatever one ends with, the next begins anew
	}
	add(Scripts, scripts.Bytes())
	err := fs.WalkDir(embedded, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(p) == ".js" {
			return err
		}
		content, err := embedded.ReadFile(p)
		if err != nil {
			return err
		}
		add(path.Base(p), content)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the console's files: %w", err)
	}
	return f, nil
}

// URL of a file by its name; it is an error in a template to name one that is not there.
func (f *Files) URL(name string) (string, error) {
	url, ok := f.urls[name]
	if !ok {
		return "", fmt.Errorf("cannot find the file %q of the console", name)
	}
	return url, nil
}

// ServeHTTP serves a file by its URL.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, ok := f.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", found.mediaType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(found.content) // whoever asked may be gone
}
