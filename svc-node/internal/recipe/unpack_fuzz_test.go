package recipe

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"path"
	"strings"
	"testing"
)

// FuzzUnpack unpacks anything. Whatever it is, what comes out stays within the archive and its bounds.
func FuzzUnpack(f *testing.F) {
	for _, entries := range [][][2]string{
		{{"top/"}, {"top/bin/run", "#!"}, {"top/link", "->bin/run"}}, {{"../x", "y"}}, {{"/etc/x", "y"}}, {{"a/l", "->../../x"}}, {{"a", "1"}, {"a/b", "2"}},
	} {
		packed := tarOf(f, entries...)
		f.Add([]byte(packed))
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, e := range entries {
			if w, err := z.Create(e[0]); err == nil {
				_, _ = w.Write([]byte(e[1]))
			}
		}
		_ = z.Close()
		f.Add(b.Bytes())
	}
	f.Add([]byte("BZh9"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 1<<16 {
			return
		}
		entries, err := unpack(t.Context(), content)
		if err != nil {
			return
		}
		size := 0
		for _, e := range entries {
			size += len(e.content)
			if !fs.ValidPath(e.name) || e.name == "." || strings.ContainsAny(e.name, "\x00\n\\") {
				t.Errorf("the name %q", e.name)
			}
			if e.link != "" && (path.IsAbs(e.link) || !fs.ValidPath(path.Join(path.Dir(e.name), e.link))) {
				t.Errorf("the link %q to %q", e.name, e.link)
			}
			if e.dir && (e.content != nil || e.link != "") {
				t.Errorf("%q is several things", e.name)
			}
		}
		if len(entries) > MaxUnpackedFiles || size > MaxUnpackedBytes {
			t.Errorf("%d files, %d bytes", len(entries), size)
		}
		onlyDirectory(entries)
	})
}
