package usage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/svc-node/internal/partition"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/internal/script"
)

const (
	// scriptTime bounds one script of etc/report.
	scriptTime = 5 * time.Minute
	// maxFiles and maxFile bound what is collected of a partition at a time.
	maxFiles = 100
	maxFile  = 1 << 20

	xmlReport = "xml_report"
)

// Scripts runs each executable of a partition's etc/report as the partition's user, with the path of the journal that it is to
// write, as SlapOS does. One that fails keeps none of the others from running.
func Scripts(ctx context.Context, tracer trace.Tracer, d partition.Directory) error {
	names, err := d.Executables("etc/report")
	if err != nil || len(names) == 0 {
		return err
	}
	folder := filepath.Join(d.Path, "var", xmlReport)
	if err := d.User.Do(func() error { return os.MkdirAll(folder, partition.Mode) }); err != nil {
		return fmt.Errorf("cannot run the report scripts of %s: %w", d.Name, err)
	}
	var errs []error
	for _, name := range names {
		timed, cancel := context.WithTimeout(ctx, scriptTime)
		err := script.Run(timed, tracer, script.Script{
			Directory: d, Path: filepath.Join(d.Path, "etc", "report", name), Args: []string{filepath.Join(folder, "slapreport."+rand.Text()[:8])}, Ends: true,
		})
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("etc/report/%s of %s failed: %w", name, d.Name, err))
		}
	}
	return errors.Join(errs...)
}

// File is a journal that a partition left, as a sample. Its time is the file's, so that one that is collected twice, because
// the agent died before it removed the file, is the same sample.
type File struct {
	Path   string
	Sample *masterv1.UsageSample
	user   privilege.User
}

// Remove removes it once its sample is kept.
func (f File) Remove() error {
	return f.user.Do(func() error {
		if err := os.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// Files collects the journals of a partition: those in its own var/xml_report, and those that are in the instance root for it.
// What is not valid stays where it is, and is told.
func Files(instanceRoot string, d partition.Directory, allocationID string) (files []File, invalid error) {
	var errs []error
	taken := map[time.Time]bool{}
	for _, from := range []struct {
		folder string
		user   privilege.User
	}{{filepath.Join(d.Path, "var", xmlReport), d.User}, {filepath.Join(instanceRoot, "var", xmlReport, d.Name), privilege.User{}}} {
		err := from.user.Do(func() error {
			entries, err := os.ReadDir(from.folder)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
				return nil
			}
			slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
			for _, entry := range entries[:min(len(entries), maxFiles)] {
				path := filepath.Join(from.folder, entry.Name())
				consumed, at, err := readJournal(path)
				if err != nil {
					errs = append(errs, fmt.Errorf("cannot use %s: %w", path, err))
					continue
				}
				for at = at.Truncate(time.Millisecond); taken[at]; {
					at = at.Add(time.Millisecond)
				}
				taken[at] = true
				files = append(files, File{Path: path, user: from.user, Sample: &masterv1.UsageSample{
					AllocationId: allocationID, Partition: d.Name, At: timestamppb.New(at), Consumed: consumed,
				}})
			}
			return err
		})
		if err != nil {
			errs = append(errs, err)
		}
	}
	return files, errors.Join(errs...)
}

func readJournal(path string) (map[string]float64, time.Time, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close() // only read from
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, time.Time{}, fmt.Errorf("it is no file of at most %d bytes", maxFile)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, time.Time{}, err
	}
	consumed, err := parseJournal(content)
	return consumed, info.ModTime(), err
}
