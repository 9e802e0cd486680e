package supervisor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/vow-os/vow/svc-node/supervise"
)

// Bounds of the journal.
const (
	// maxExits is the number of exits kept unacknowledged; beyond it the oldest are dropped and counted. An agent that is
	// away for a day while ten services crash with the longest delay leaves 14,400; it learns from the newest as much.
	maxExits = 4096
	// compactAt is the size in bytes at which the file is rewritten, if that makes it four times smaller. A restart
	// writes some 2 KB.
	compactAt = 4 << 20
)

// entry is one line of the journal; the last one about a thing counts.
type entry struct {
	Boot   string          `json:"boot,omitempty"`
	Unit   *supervise.Unit `json:"unit,omitempty"`
	Forget *supervise.Key  `json:"forget,omitempty"`
	Exit   *supervise.Exit `json:"exit,omitempty"`
	Ack    uint64          `json:"ack,omitempty"`
	// Last, Incarnation and Dropped carry counters over a rewrite that drops the lines they came from.
	Last        uint64 `json:"last,omitempty"`
	Incarnation uint64 `json:"incarnation,omitempty"`
	Dropped     uint64 `json:"dropped,omitempty"`
}

// journal is a file of entries and what they add up to. The file is the supervisor's memory: units, exits that the agent
// has not acknowledged, counters. Writing is for the machine's goroutine only; after, position and changed are for all.
type journal struct {
	path string
	file *os.File
	size int64
	base int64 // size after the last rewrite
	// broken is why the last write failed; the next one then rewrites the file from memory.
	broken error

	boot        string
	units       map[supervise.Key]supervise.Unit
	incarnation uint64
	// damaged counts lines that could not be read.
	damaged int

	mu      sync.Mutex // guards the rest, never held across I/O
	exits   []supervise.Exit
	last    uint64
	acked   uint64
	dropped uint64
	news    chan struct{} // closed and replaced when an exit arrives

	sync *syncer
}

// openJournal reads the journal of a folder, or starts one. A last line that a crash cut short is dropped.
func openJournal(dir string) (*journal, error) {
	j := &journal{
		path: filepath.Join(dir, "journal"), units: map[supervise.Key]supervise.Unit{}, news: make(chan struct{}),
		sync: newSyncer(),
	}
	data, err := os.ReadFile(j.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the supervisor's journal: %w", err)
	}
	lines := bufio.NewReader(bytes.NewReader(data))
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		var e entry
		if json.Unmarshal(line, &e) != nil {
			j.damaged++
			continue
		}
		j.take(e)
	}
	return j, j.rewrite()
}

// take adds one entry to what is known.
func (j *journal) take(e entry) {
	if e.Boot != "" {
		j.boot = e.Boot
	}
	if e.Unit != nil {
		j.units[e.Unit.Process.Key] = *e.Unit
		j.incarnation = max(j.incarnation, e.Unit.Incarnation)
	}
	if e.Forget != nil {
		delete(j.units, *e.Forget)
	}
	j.incarnation = max(j.incarnation, e.Incarnation)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last, j.acked, j.dropped = max(j.last, e.Last), max(j.acked, e.Ack), max(j.dropped, e.Dropped)
	if e.Exit != nil && e.Exit.Seq > j.last {
		j.last = e.Exit.Seq
		j.exits = append(j.exits, *e.Exit)
		if len(j.exits) > maxExits {
			j.exits = j.exits[1:]
			j.dropped++
		}
	}
	for len(j.exits) > 0 && j.exits[0].Seq <= j.acked {
		j.exits = j.exits[1:]
	}
}

// write stores what the effects of one step say, in one write, and wakes those who wait for exits. A failure leaves the
// memory right and the file behind: it is told by problem, and the next write repairs it.
func (j *journal) write(effects []supervise.Effect) {
	var entries []entry
	for _, effect := range effects {
		switch e := effect.(type) {
		case supervise.Record:
			entries = append(entries, entry{Unit: &e.Unit})
		case supervise.Forget:
			entries = append(entries, entry{Forget: &e.Key})
		case supervise.Report:
			e.Exit.Seq = j.nextSeq(entries)
			entries = append(entries, entry{Exit: &e.Exit})
		}
	}
	j.append(entries...)
}

func (j *journal) nextSeq(pending []entry) uint64 {
	seq := j.last + 1 // only this goroutine changes it
	for _, e := range pending {
		if e.Exit != nil {
			seq = e.Exit.Seq + 1
		}
	}
	return seq
}

func (j *journal) append(entries ...entry) {
	if len(entries) == 0 {
		return
	}
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	exits := false
	for _, e := range entries {
		j.take(e)
		exits = exits || e.Exit != nil
		if err := encoder.Encode(e); err != nil {
			j.broken = err
		}
	}
	if exits { // before the file: the agent's bang need not wait for our disk
		j.mu.Lock()
		close(j.news)
		j.news = make(chan struct{})
		j.mu.Unlock()
	}
	if j.broken != nil || j.size > compactAt && j.size > 4*j.base {
		j.broken = j.rewrite()
		return
	}
	n, err := j.file.Write(lines.Bytes())
	j.size += int64(n)
	if err != nil {
		j.broken = err
		return
	}
	j.sync.later(j.file)
}

// ack drops the exits up to seq.
func (j *journal) ack(seq uint64) error {
	j.mu.Lock()
	last, acked := j.last, j.acked
	j.mu.Unlock()
	if seq > last {
		return fmt.Errorf("cannot acknowledge exit %d: the last one is %d", seq, last)
	}
	if seq > acked {
		j.append(entry{Ack: seq})
	}
	return nil
}

// after returns the exits after seq and a channel that is closed when there are more.
func (j *journal) after(seq uint64) ([]supervise.Exit, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, e := range j.exits {
		if e.Seq > seq {
			return append([]supervise.Exit(nil), j.exits[i:]...), j.news
		}
	}
	return nil, j.news
}

func (j *journal) position() (last, acked, dropped uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last, j.acked, j.dropped
}

// rewrite replaces the file by one that says the same in the fewest lines. It is on the disk before it takes the old
// one's place.
func (j *journal) rewrite() error {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	last, acked, dropped := j.position()
	first := last
	if exits, _ := j.after(0); len(exits) > 0 {
		first = exits[0].Seq - 1
	}
	all := []entry{{Boot: j.boot, Last: first, Ack: acked, Dropped: dropped, Incarnation: j.incarnation}}
	for key := range j.units {
		unit := j.units[key]
		all = append(all, entry{Unit: &unit})
	}
	exits, _ := j.after(0)
	for i := range exits {
		all = append(all, entry{Exit: &exits[i]})
	}
	for _, e := range all {
		if err := encoder.Encode(e); err != nil {
			return fmt.Errorf("cannot write the supervisor's journal: %w", err)
		}
	}
	file, err := writeSynced(j.path+".new", lines.Bytes())
	if err != nil {
		return fmt.Errorf("cannot write the supervisor's journal: %w", cause(err))
	}
	if err := os.Rename(j.path+".new", j.path); err != nil {
		_ = file.Close()
		return fmt.Errorf("cannot write the supervisor's journal: %w", err)
	}
	j.sync.forget(j.file)
	j.file, j.size, j.base = file, int64(lines.Len()), int64(lines.Len())
	return nil
}

func writeSynced(path string, data []byte) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func (j *journal) close() {
	j.sync.forget(j.file)
	j.sync.close()
}
