package pythonhost

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// maxFrame bounds a message in either direction: a result has at most 100 entries of 20,000 bytes less what JSON adds.
const maxFrame = 1 << 20

// request is one execution, as vowhost.py reads it.
type request struct {
	ID          uint64            `json:"id"`
	Name        string            `json:"name"`
	Path        string            `json:"path"`
	Directory   string            `json:"directory"`
	Timeout     float64           `json:"timeout"`
	Anomaly     bool              `json:"anomaly"`
	Warm        bool              `json:"warm"`
	Modules     []string          `json:"modules,omitempty"`
	Cold        []string          `json:"cold,omitempty"`
	Environment map[string]string `json:"environment"`
	Config      map[string]any    `json:"config"`
	User        *account          `json:"user,omitempty"`
	// Lost is the message of an execution that gave no result, to be written to the promise's files.
	Lost string `json:"lost,omitempty"`
	// LogFolder is where the promise's log is; empty = in the partition's usual place.
	LogFolder string `json:"log_folder,omitempty"`
	// Dry: no result file is written, and LogFolder is a copy.
	Dry   bool `json:"dry,omitempty"`
	Debug bool `json:"debug,omitempty"`
}

// account is whom the promise's process becomes.
type account struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

type cancellation struct {
	ID uint64 `json:"cancel"`
}

// answer is how an execution ended; result is what the promise's process wrote.
type answer struct {
	ID     uint64 `json:"id"`
	How    string `json:"how"`
	Code   int    `json:"code"`
	Output string `json:"output"`

	result []byte
}

func writeFrame(w io.Writer, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("cannot write to the Python host: %w", err)
	}
	if len(body) > maxFrame {
		return fmt.Errorf("cannot write to the Python host: %d bytes, the limit is %d", len(body), maxFrame)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body))) //nolint:gosec // bounded above
	_, err = w.Write(append(frame, body...))
	return err
}

func readFrame(r io.Reader) (*answer, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 4 || n > maxFrame {
		return nil, fmt.Errorf("cannot read from the Python host: a message of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	head := binary.BigEndian.Uint32(body)
	if head > n-4 {
		return nil, fmt.Errorf("cannot read from the Python host: a head of %d bytes in a message of %d", head, n)
	}
	a := &answer{result: body[4+head:]}
	if err := json.Unmarshal(body[4:4+head], a); err != nil {
		return nil, fmt.Errorf("cannot read from the Python host: %w", err)
	}
	return a, nil
}
