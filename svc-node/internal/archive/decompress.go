package archive

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// maxWindow bounds the memory of a decompressor: what `zstd --long=27` asks for, the most that zstd itself takes unasked, and
// twice what `xz -9` asks for.
const maxWindow = 128 << 20

// errKind is what is no archive of a kind that is known.
var errKind = errors.New("it is no archive: want tar, tar.gz, tar.zst, tar.bz2, tar.xz or zip")

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
	case bytes.HasPrefix(magic, []byte("\xfd7zXZ\x00")):
		stream, err = xz.NewReader(from, maxWindow)
	case len(magic) >= 262 && string(magic[257:262]) == "ustar":
		stream = from
	default:
		err = errKind
	}
	return stream, done, err
}
