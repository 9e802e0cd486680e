package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// memory is a Sink that keeps names and counts bytes.
type memory struct {
	budget *Budget
	names  []string
	bytes  int64
}

func (m *memory) add(name string) error {
	m.names = append(m.names, name)
	return m.budget.Entry()
}
func (m *memory) Directory(name string) error    { return m.add(name + "/") }
func (m *memory) Link(name, target string) error { return m.add(name + " -> " + target) }
func (m *memory) HardLink(name, existing string) error {
	return m.add(name + " = " + existing)
}

func (m *memory) File(_ context.Context, name string, mode fs.FileMode, size int64, content io.Reader) error {
	if err := m.budget.Has(size); err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, m.budget.Reader(content))
	m.bytes += n
	return errors.Join(err, m.add(fmt.Sprintf("%s %s %d", name, mode, n)))
}

func unpacked(t testing.TB, content []byte, entries int, most int64) (*memory, error) {
	t.Helper()
	m := &memory{budget: NewBudget(entries, most)}
	err := Unpack(t.Context(), bytes.NewReader(content), int64(len(content)), m.budget, m, nil)
	return m, err
}

func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		h.Mode, h.Format = h.Mode|0o600, tar.FormatPAX
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, zeros{}, h.Size); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// by packs with a program of the machine.
func by(t testing.TB, content []byte, program string, arguments ...string) []byte {
	t.Helper()
	command := exec.Command(program, append(arguments, "-c")...)
	command.Stdin = bytes.NewReader(content)
	packed, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return packed
}

func TestAnArchiveIsReadWhateverPacksIt(t *testing.T) {
	plain := tarOf(t, tar.Header{Name: "d/", Typeflag: tar.TypeDir}, tar.Header{Name: "./d/a", Size: 100_000, Mode: 0o755}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "d/a"}, tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "d/a"})
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	if _, err := w.Write(plain); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	twice := append(by(t, plain[:1000], "xz"), by(t, plain[1000:], "xz")...)
	for name, content := range map[string][]byte{
		"tar": plain, "gzip": gz.Bytes(), "bzip2": by(t, plain, "bzip2"), "xz": by(t, plain, "xz"), "xz -9, SHA-256": by(t, plain, "xz", "-9", "--check=sha256"), "xz of x86": by(t, plain, "xz", "--x86", "--lzma2"), "two xz in a row": twice,
	} {
		m, err := unpacked(t, content, 10, 1<<20)
		if want := []string{"d/", "d/a -rwxr-xr-x 100000", "l -> d/a", "h = d/a"}; err != nil || !slices.Equal(m.names, want) {
			t.Errorf("%s: %q, %v", name, m.names, err)
		}
	}
}

// A few bytes can ask for 4 GiB of memory.
func TestADecompressorTakesNoMoreMemoryThanItMay(t *testing.T) {
	packed := by(t, tarOf(t, tar.Header{Name: "a"}), "xz")
	header := packed[12 : 12+(int(packed[12])+1)*4]
	at := bytes.Index(header, []byte{0x21, 1})
	if at < 0 {
		t.Fatalf("the header of the block is % x", header)
	}
	header[at+2] = 40 // the largest dictionary that can be named
	binary.LittleEndian.PutUint32(header[len(header)-4:], crc32.ChecksumIEEE(header[:len(header)-4]))
	if _, err := unpacked(t, packed, 10, 1<<20); err == nil || !strings.Contains(err.Error(), "dictionary size exceeds max") {
		t.Errorf("it says %v", err)
	}
}

func TestWhatIsDamagedSaysSo(t *testing.T) {
	content := tarOf(t, tar.Header{Name: "a", Size: 10_000})
	packed := by(t, content, "xz")
	wrong := bytes.Clone(packed)
	wrong[len(wrong)/2] ^= 1
	for name, content := range map[string][]byte{"cut xz": packed[:len(packed)-30], "xz without its end": packed[:len(packed)-1], "changed xz": wrong, "cut tar": content[:2000]} {
		if _, err := unpacked(t, content, 10, 1<<20); err == nil || !strings.Contains(err.Error(), "the archive is damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheEndOfACallerEndsTheReading(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := &memory{budget: NewBudget(10, 1<<20)}
	content := tarOf(t, tar.Header{Name: "a", Size: 10_000})
	if err := Unpack(ctx, bytes.NewReader(content), int64(len(content)), m.budget, m, nil); !errors.Is(err, context.Canceled) || len(m.names) > 0 {
		t.Errorf("%q, %v", m.names, err)
	}
}

func FuzzNothingLeadsOutNorIsUnbounded(f *testing.F) {
	plain := tarOf(f, tar.Header{Name: "d/a", Size: 10}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../.."}, tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "d/a"})
	for _, content := range [][]byte{plain, by(f, plain, "xz"), by(f, plain, "gzip"), tarOf(f, tar.Header{Name: "../x"})} {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		const entries, most = 20, 1 << 20
		m, err := unpacked(t, content, entries, most)
		if err == nil && len(m.names) > entries || len(m.names) > entries+1 || m.bytes > most {
			t.Errorf("%d entries with %d bytes, %v", len(m.names), m.bytes, err)
		}
		for _, told := range m.names {
			name, _, _ := strings.Cut(told, " ")
			if name = strings.TrimSuffix(name, "/"); path.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..") {
				t.Errorf("told is %q", told)
			}
		}
	})
}
