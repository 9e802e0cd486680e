package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"strings"
)

const (
	// MaxName bounds a name, in bytes.
	MaxName = 4096
	// MaxLink bounds what a link leads to, in bytes.
	MaxLink = 4096
	// maxDirectory bounds the directory of a zip, which is read into memory: 500,000 entries have some 50 MB.
	maxDirectory = 128 << 20
	magicSize    = 512
)

// Sink is what an archive is written to, entry by entry. What it writes it takes from the budget that Unpack was given.
type Sink interface {
	Directory(name string) error
	// File writes a file; size is what the archive says of it.
	File(ctx context.Context, name string, mode fs.FileMode, size int64, content io.Reader) error
	Link(name, target string) error
	// HardLink makes a second name of a file; existing is a name as all are.
	HardLink(name, existing string) error
}

// Room is an optional part of a Sink: it is asked whether there is room for all, where an archive says beforehand how much
// that is.
type Room interface {
	Room(bytes int64) error
}

// Unpack reads an archive of so many bytes. told is called with how many bytes are done, of how many; nil = nobody is told.
// Errors are for whoever made the archive, *LimitError, the context's, or the sink's.
func Unpack(ctx context.Context, from io.ReaderAt, size int64, b *Budget, to Sink, told func(done, total int64)) error {
	if told == nil {
		told = func(int64, int64) {}
	}
	magic := make([]byte, magicSize)
	n, err := from.ReadAt(magic, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	magic = magic[:n]
	if bytes.HasPrefix(magic, []byte("PK\x03\x04")) || bytes.HasPrefix(magic, []byte("PK\x05\x06")) {
		return unzip(ctx, from, size, b, to, told)
	}
	read := &counter{from: io.NewSectionReader(from, 0, size), tell: func(done int64) { told(done, size) }}
	stream, done, err := decompress(magic, read)
	if err != nil {
		return damaged(err)
	}
	defer done()
	// The stream is bounded as what is written is: headers and padding cost time too.
	if err := untar(ctx, &bounded{from: stream, ctx: ctx, left: b.limit, b: b}, to); err != nil {
		return err
	}
	told(size, size)
	return nil
}

// Name is the name of an entry, cleaned; what is not inside is an error.
func Name(name string) (string, error) {
	switch {
	case name == "" || len(name) > MaxName || strings.ContainsRune(name, 0):
		return "", fmt.Errorf("the name %.80q is empty, longer than %d bytes or holds a zero byte", name, MaxName)
	case path.IsAbs(name):
		return "", fmt.Errorf("the name %q is absolute", name)
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", fmt.Errorf("the name %q leads out of it", name)
		}
	}
	return path.Clean(name), nil
}

func link(to Sink, name, target string) error {
	if target == "" || len(target) > MaxLink || strings.ContainsRune(target, 0) {
		return fmt.Errorf("the link %s leads nowhere, or its target is longer than %d bytes", name, MaxLink)
	}
	return to.Link(name, target)
}

func untar(ctx context.Context, stream io.Reader, to Sink) error {
	archive := tar.NewReader(stream)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return damaged(err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader { // as git archive writes one
			continue
		}
		name, err := Name(h.Name)
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = to.Directory(name)
		case tar.TypeReg, tar.TypeGNUSparse:
			err = to.File(ctx, name, fs.FileMode(h.Mode)&fs.ModePerm, h.Size, reader{archive}) //nolint:gosec // nine bits of it
		case tar.TypeSymlink:
			err = link(to, name, h.Linkname)
		case tar.TypeLink:
			var existing string
			if existing, err = Name(h.Linkname); err != nil {
				return fmt.Errorf("the hard link %s: %w", name, err)
			}
			err = to.HardLink(name, existing)
		default:
			err = fmt.Errorf("%s is a device, pipe or of another kind that is not unpacked (tar type %q)", name, h.Typeflag)
		}
		if err != nil {
			return err
		}
	}
	// What follows the end is read so that the decompressor compares its checksum.
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return damaged(err)
	}
	return nil
}

// damaged says so of an archive, unless it is our own limit or deadline that ended the reading.
func damaged(err error) error {
	if errors.As(err, new(*LimitError)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errKind) {
		return err
	}
	return fmt.Errorf("the archive is damaged: %w", err)
}

func unzip(ctx context.Context, from io.ReaderAt, size int64, b *Budget, to Sink, told func(done, total int64)) error {
	directory := &readerAt{from: from, left: maxDirectory}
	z, err := zip.NewReader(directory, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are judged below, one by one
		return damaged(err)
	}
	directory.left = math.MaxInt64
	if len(z.File) > b.entries {
		return b.tooMany()
	}
	var whole uint64
	for _, f := range z.File {
		whole += f.UncompressedSize64
		if f.UncompressedSize64 > uint64(b.bytes) || whole > uint64(b.bytes) { //nolint:gosec // not negative
			return b.tooLarge()
		}
	}
	if r, ok := to.(Room); ok {
		if err := r.Room(int64(whole)); err != nil { //nolint:gosec // at most b.bytes
			return err
		}
	}
	all := &counter{tell: func(done int64) { told(done, int64(whole)) }} //nolint:gosec // likewise
	for _, f := range z.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := unzipFile(ctx, f, all, to); err != nil {
			return err
		}
	}
	return nil
}

func unzipFile(ctx context.Context, f *zip.File, all *counter, to Sink) error {
	name, err := Name(f.Name)
	if err != nil {
		return err
	}
	const encrypted = 1
	mode := f.Mode()
	switch {
	case f.Flags&encrypted != 0:
		return fmt.Errorf("%s is encrypted", name)
	case mode.IsDir():
		return to.Directory(name)
	case mode&fs.ModeType != 0 && mode&fs.ModeType != fs.ModeSymlink:
		return fmt.Errorf("%s is a device, pipe or of another kind that is not unpacked (%s)", name, mode)
	}
	content, err := f.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer content.Close() // its checksum was compared at its end
	if mode&fs.ModeType == fs.ModeSymlink {
		target, err := io.ReadAll(io.LimitReader(content, MaxLink+1))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return link(to, name, string(target))
	}
	all.from = content
	return to.File(ctx, name, mode.Perm(), int64(f.UncompressedSize64), reader{all}) //nolint:gosec // at most the budget
}

// reader says that an archive is damaged where its content ends early.
type reader struct{ from io.Reader }

func (r reader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged(err)
	}
	return n, err
}

// counter tells how much was read.
type counter struct {
	from io.Reader
	done int64
	tell func(done int64)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.done += int64(n)
	c.tell(c.done)
	return n, err
}

// bounded fails when more is read than the budget had, or when ctx ends.
type bounded struct {
	from io.Reader
	ctx  context.Context // a Reader has no other way to hear of its end
	left int64
	b    *Budget
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, b.b.tooLarge()
	}
	return n, err
}

// readerAt fails when more than left is read.
type readerAt struct {
	from io.ReaderAt
	left int64
}

func (r *readerAt) ReadAt(p []byte, offset int64) (int, error) {
	if r.left < int64(len(p)) {
		return 0, &LimitError{Limit: LimitEntries, Text: "its directory is longer than " + Size(maxDirectory)}
	}
	r.left -= int64(len(p))
	return r.from.ReadAt(p, offset)
}
