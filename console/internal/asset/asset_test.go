package asset

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is vendored is byte for byte what its npm package has, with its licence; nothing else is there.
func TestVendoredFilesAreTheRecordedOnes(t *testing.T) {
	recorded, err := os.ReadFile("vendored/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"SHA256SUMS": true, "README.md": true}
	for line := range strings.Lines(string(recorded)) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		known[name] = true
		content, err := os.ReadFile(filepath.Join("vendored", name))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s is not what was recorded", name)
		}
	}
	entries, err := os.ReadDir("vendored")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !known[e.Name()] {
			t.Errorf("%s has no checksum", e.Name())
		}
	}
}

// A file is served by its URL, with its media type, for ever; a template that names one that is not there is wrong.
func TestFilesHaveUrls(t *testing.T) {
	files, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for name, mediaType := range map[string]string{"console.css": "text/css", Scripts: "text/javascript", "icon.svg": "image/svg+xml"} {
		url, err := files.URL(name)
		if err != nil || !strings.HasPrefix(files.files[url].mediaType, mediaType) {
			t.Errorf("%s: %s, %q, %v", name, url, files.files[url].mediaType, err)
		}
	}
	if _, err := files.URL("jquery.js"); err == nil {
		t.Error("a file that is not there has a URL")
	}
}

// Every script is in one file, htmx before its extension: htmx begins between two files, and then uses no extension that comes after.
func TestEveryScriptIsInOneFile(t *testing.T) {
	files, err := New()
	if err != nil {
		t.Fatal(err)
	}
	url, err := files.URL(Scripts)
	if err != nil {
		t.Fatal(err)
	}
	all, after := string(files.files[url].content), 0
	for _, part := range []string{"var htmx=", `registerExtension("sse"`, "uPlot=", "The console's own script"} {
		at := strings.Index(all, part)
		if at < after {
			t.Errorf("%q is at %d, want it after %d", part, at, after)
		}
		after = at
	}
	for name := range files.urls {
		if strings.HasSuffix(name, ".js") && name != Scripts {
			t.Errorf("%s has a URL of its own", name)
		}
	}
}
