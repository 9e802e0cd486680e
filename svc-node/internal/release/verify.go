package release

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
)

// errChecksum is content that is not what its checksum says.
var errChecksum = errors.New("the content does not have its checksum")

// verify compares a file's content with the checksum.
func verify(ctx context.Context, f *os.File, sum checksum, o Observer) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	digest := sum.new()
	from := io.NewSectionReader(f, 0, info.Size())
	buffer := make([]byte, 256<<10)
	for done := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := from.Read(buffer)
		_, _ = digest.Write(buffer[:n]) // never fails
		done += int64(n)
		o.Progress(done, info.Size())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if got := digest.Sum(nil); subtle.ConstantTimeCompare(got, sum.want) != 1 {
		return fmt.Errorf("%w: its %s is %x, not %x", errChecksum, sum.algorithm, got, sum.want)
	}
	return nil
}
