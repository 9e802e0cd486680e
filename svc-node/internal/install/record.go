package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
)

// Names inside a partition's directory. vowDirectory belongs to this package alone.
const (
	vowDirectory = ".vow"
	recordName   = ".vow/installed.json"
	keptName     = ".vow/kept"
	freshName    = ".vow/fresh"
)

// MaxRecordBytes bounds the record that is read back; a thousand parts take about a megabyte.
const MaxRecordBytes = 32 << 20

// recordVersion is the version of the record's format.
const recordVersion = 1

// record is what is installed in a partition. It is private: fingerprints of secrets are in it.
type record struct {
	Version int `json:"version"`
	// Profiles are the parts of each profile, in the order of installation: "" is the partition's own, "NAME" the
	// one that the part NAME runs (switch-softwaretype).
	Profiles map[string][]*partRecord `json:"profiles"`
	// Memory is what recipes remember, by "profile/section".
	Memory map[string]map[string]string `json:"memory,omitempty"`
	// Pending is what a commit was about to write. It is empty unless that commit was cut short.
	Pending []fileRecord `json:"pending,omitempty"`
}

// partRecord is one installed part.
type partRecord struct {
	Name      string            `json:"name"`
	Recipe    string            `json:"recipe"`
	Signature int               `json:"signature"`
	Options   map[string]string `json:"options"`
	Files     []fileRecord      `json:"files,omitempty"`
	Note      string            `json:"note,omitempty"`
}

// fileRecord is one file or symbolic link a part made.
type fileRecord struct {
	// Path is relative to the partition's directory.
	Path string `json:"path"`
	// Link says that it is a symbolic link.
	Link bool `json:"link,omitempty"`
	// Hash is of the content, or of a link's target.
	Hash string `json:"hash"`
	// Mode, Size and Time (nanoseconds since 1970) tell without reading that a file is as we left it.
	Mode fs.FileMode `json:"mode,omitempty"`
	Size int64       `json:"size,omitempty"`
	Time int64       `json:"time,omitempty"`
}

func newRecord() *record {
	return &record{Version: recordVersion, Profiles: map[string][]*partRecord{}, Memory: map[string]map[string]string{}}
}

// loadRecord reads the record of a partition's directory, or an empty one when nothing was installed yet. Nobody may write
// to what it returns: the cache has it too.
func loadRecord(root *os.Root, cache *Cache, dir string) (*record, error) {
	f, err := root.OpenFile(recordName, os.O_RDONLY|nonBlocking, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return newRecord(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the record of installed parts: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot read the record of installed parts: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > MaxRecordBytes {
		return nil, fmt.Errorf("cannot read the record of installed parts: %s is not a file of at most %d bytes", recordName, MaxRecordBytes)
	}
	scratch := cache.buffer()
	defer cache.release(scratch)
	if err := readAll(scratch, f, info.Size(), MaxRecordBytes); err != nil {
		return nil, fmt.Errorf("cannot read the record of installed parts: %w", err)
	}
	return cache.record(dir, scratch.Bytes())
}

func parseRecord(content []byte) (*record, error) {
	r := newRecord()
	if err := json.Unmarshal(content, r); err != nil {
		return nil, fmt.Errorf("cannot read the record of installed parts, %s: %w", recordName, err)
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("cannot read the record of installed parts: its version is %d, this vow writes %d", r.Version, recordVersion)
	}
	return r, nil
}

// save writes the record atomically: beside, synced, renamed, directory synced.
func (r *record) save(root *os.Root) error {
	content, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("cannot write the record of installed parts: %w", err)
	}
	if err := root.MkdirAll(vowDirectory, 0o750); err != nil {
		return fmt.Errorf("cannot write the record of installed parts: %w", err)
	}
	if err := writeWhole(root, recordName, content, 0o600); err != nil {
		return fmt.Errorf("cannot write the record of installed parts: %w", err)
	}
	return syncDirectory(root, vowDirectory)
}

// equal says whether two records hold the same.
func (r *record) equal(other *record) bool {
	return slices.Equal(r.Pending, other.Pending) && maps.EqualFunc(r.Memory, other.Memory, maps.Equal[map[string]string, map[string]string]) &&
		maps.EqualFunc(r.Profiles, other.Profiles, func(a, b []*partRecord) bool { return slices.EqualFunc(a, b, (*partRecord).equal) })
}

func (p *partRecord) equal(other *partRecord) bool {
	return p == other || p.Name == other.Name && p.Recipe == other.Recipe && p.Signature == other.Signature && p.Note == other.Note &&
		maps.Equal(p.Options, other.Options) && slices.Equal(p.Files, other.Files)
}

// writeWhole makes a file appear with all its content: a temporary file, synced, renamed over the name.
func writeWhole(root *os.Root, name string, content []byte, mode fs.FileMode) error {
	if err := root.MkdirAll(vowDirectory, 0o750); err != nil {
		return err
	}
	if err := root.Remove(freshName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(freshName, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = root.Rename(freshName, name)
	}
	return err
}

func syncDirectory(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closing := d.Close(); err == nil {
		err = closing
	}
	return err
}
