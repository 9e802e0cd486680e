package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxWindow bounds the memory of a decompressor: what `zstd --long=27` asks for, the most that zstd itself takes unasked.
	maxWindow = 128 << 20
	// maxDirectory bounds the directory of a zip archive, which is read into memory: MaxFiles entries have some 50 MB.
	maxDirectory = 128 << 20
	magicSize    = 512
)

// unpack writes the content of an archive. What it is, its first bytes say: names lie.
func unpack(ctx context.Context, archive *os.File, to *tree, o Observer) error {
	info, err := archive.Stat()
	if err != nil {
		return err
	}
	total := info.Size()
	magic := make([]byte, magicSize)
	n, err := archive.ReadAt(magic, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	magic = magic[:n]
	if bytes.HasPrefix(magic, []byte("PK\x03\x04")) || bytes.HasPrefix(magic, []byte("PK\x05\x06")) {
		return unzip(ctx, archive, total, to, o)
	}
	read := &counter{from: archive, tell: func(done int64) { o.Progress(done, total) }}
	stream, done, err := decompress(magic, read)
	if err != nil {
		return damaged(err)
	}
	defer done()
	// The stream is bounded as what is written is: headers and padding cost time too.
	if err := untar(ctx, &bounded{from: stream, ctx: ctx, limit: to.limit, left: to.limit}, to); err != nil {
		return err
	}
	o.Progress(total, total)
	return to.finish()
}

// decompress finds the decompressor by the first bytes.
func decompress(magic []byte, from io.Reader) (stream io.Reader, done func(), err error) {
	done = func() {}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		stream, err = gzip.NewReader(from)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		var z *zstd.Decoder
		if z, err = zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			stream, done = z, z.Close
		}
	case bytes.HasPrefix(magic, []byte("BZh")):
		stream = bzip2.NewReader(from)
	case bytes.HasPrefix(magic, []byte("\xfd7zXZ")):
		err = errors.New("it is compressed with xz, which is not supported: use gzip, zstd or bzip2")
	case len(magic) >= 262 && string(magic[257:262]) == "ustar":
		stream = from
	default:
		err = errors.New("it is no archive: want tar, tar.gz, tar.zst, tar.bz2 or zip")
	}
	return stream, done, err
}

func untar(ctx context.Context, stream io.Reader, to *tree) error {
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
		name, err := place(h.Name)
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = to.directory(name)
		case tar.TypeReg, tar.TypeGNUSparse:
			err = to.file(ctx, name, fs.FileMode(h.Mode)&fs.ModePerm, h.Size, archive) //nolint:gosec // nine bits of it
		case tar.TypeSymlink:
			err = to.link(name, h.Linkname)
		case tar.TypeLink:
			err = to.hardLink(name, h.Linkname)
		default:
			err = fmt.Errorf("%s is a device, pipe or of another kind that a release may not hold (tar type %q)", name, h.Typeflag)
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
	if errors.As(err, new(*LimitError)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("the archive is damaged: %w", err)
}

func unzip(ctx context.Context, archive *os.File, total int64, to *tree, o Observer) error {
	directory := &readerAt{from: archive, left: maxDirectory}
	z, err := zip.NewReader(directory, total)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are judged below, one by one
		return damaged(err)
	}
	directory.left = math.MaxInt64
	if len(z.File) > to.entries {
		return to.tooMany()
	}
	var whole uint64
	for _, f := range z.File {
		whole += f.UncompressedSize64
		if f.UncompressedSize64 > uint64(to.bytes) || whole > uint64(to.bytes) { //nolint:gosec // not negative
			return to.tooLarge()
		}
	}
	if err := to.space.check(int64(whole)); err != nil { //nolint:gosec // at most to.bytes
		return err
	}
	written := int64(0)
	to.progress = func(n int64) {
		written += n
		o.Progress(written, int64(whole)) //nolint:gosec // likewise
	}
	for _, f := range z.File {
		if err := unzipFile(ctx, f, to); err != nil {
			return err
		}
	}
	return to.finish()
}

func unzipFile(ctx context.Context, f *zip.File, to *tree) error {
	name, err := place(f.Name)
	if err != nil {
		return err
	}
	const encrypted = 1
	mode := f.Mode()
	switch {
	case f.Flags&encrypted != 0:
		return fmt.Errorf("%s is encrypted", name)
	case mode.IsDir():
		return to.directory(name)
	case mode&fs.ModeType != 0 && mode&fs.ModeType != fs.ModeSymlink:
		return fmt.Errorf("%s is a device, pipe or of another kind that a release may not hold (%s)", name, mode)
	}
	content, err := f.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer content.Close() // its checksum was compared at its end
	if mode&fs.ModeType == fs.ModeSymlink {
		target, err := io.ReadAll(io.LimitReader(content, maxLink+1))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return to.link(name, string(target))
	}
	return to.file(ctx, name, mode, int64(f.UncompressedSize64), content) //nolint:gosec // at most to.bytes
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

// bounded fails when more than its limit is read, or when ctx ends.
type bounded struct {
	from        io.Reader
	ctx         context.Context // a Reader has no other way to hear of its end
	limit, left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, &LimitError{Limit: LimitBytes, Text: "it unpacks to more than " + size(b.limit)}
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
		return 0, &LimitError{Limit: LimitFiles, Text: "its directory is longer than " + size(maxDirectory)}
	}
	r.left -= int64(len(p))
	return r.from.ReadAt(p, offset)
}

// cleanTop is the folder that holds the release: the root, or its single top directory when that has the instance profile.
func cleanTop(root *os.Root) (string, error) {
	if hasProfile(root, ".") {
		return ".", nil
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return "", err
	}
	if len(entries) == 1 && entries[0].IsDir() && hasProfile(root, entries[0].Name()) {
		return entries[0].Name(), nil
	}
	return "", errors.New("it has no instance.cfg, neither at its root nor in its single top directory")
}

// hasProfile tells whether a folder holds an instance profile, under one of the names that a run looks for.
func hasProfile(root *os.Root, dir string) bool {
	for _, name := range []string{"instance.cfg", "template.cfg"} {
		if info, err := root.Stat(strings.TrimPrefix(dir+"/"+name, "./")); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}
