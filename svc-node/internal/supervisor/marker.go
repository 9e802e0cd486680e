package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/svc-node/supervise"
)

// markerName is the environment variable that every supervised process and its descendants carry:
// <hash of folder>/<partition>/<name>/<incarnation>.<fingerprint of the definition>.
const markerName = "VOW_SUPERVISED"

// dirHash names a supervisor by its folder.
func dirHash(dir string) (string, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return "", fmt.Errorf("cannot find folder %s: %w", dir, err)
	}
	return fmt.Sprintf("%016x", backoff.Hash(real)), nil
}

func marker(hash string, p supervise.Process, incarnation uint64) string {
	return markerName + "=" + markerPrefix(hash, p.Key, incarnation) + p.Fingerprint()
}

// markerPrefix is what the markers of a process and its descendants begin with.
func markerPrefix(hash string, key supervise.Key, incarnation uint64) string {
	return fmt.Sprintf("%s/%s/%s/%d.", hash, key.Partition, key.Name, incarnation)
}

// markerOf reads the marker of a running process; empty = it has none, or its environment is not ours to read.
func markerOf(pid int) string {
	env, err := readProc("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return ""
	}
	value, _ := variable(env, markerName)
	return value
}

// environment is a process's own environment with our marker, whatever it says about one.
func environment(hash string, p supervise.Process, incarnation uint64) []string {
	env := slices.DeleteFunc(slices.Clone(p.Env), func(e string) bool { return strings.HasPrefix(e, markerName+"=") })
	return append(env, marker(hash, p, incarnation))
}

// parseMarker reads the value of the variable.
func parseMarker(value, hash string) (supervise.Key, supervise.Alive, bool) {
	parts := strings.Split(value, "/")
	if len(parts) != 4 || parts[0] != hash {
		return supervise.Key{}, supervise.Alive{}, false
	}
	number, fingerprint, ok := strings.Cut(parts[3], ".")
	incarnation, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || parts[2] == "" {
		return supervise.Key{}, supervise.Alive{}, false
	}
	return supervise.Key{Partition: parts[1], Name: parts[2]}, supervise.Alive{Incarnation: incarnation, Fingerprint: fingerprint}, true
}

// scan finds processes by their marker: those that lead a session, as only the first process of a service does (and a
// daemon that it made: the older of two wins). Environments of other users can be read by root only; so can their
// processes be started.
func scan(hash, boot string) map[supervise.Key]supervise.Alive {
	found := map[supervise.Key]supervise.Alive{}
	started := map[supervise.Key]uint64{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		key, alive, ok := parseMarker(markerOf(pid), hash)
		if !ok {
			continue
		}
		stat, err := readStat(pid)
		if err != nil || stat.session != pid || stat.state == 'Z' || waiting(pid) {
			continue
		}
		other, seen := found[key]
		if seen && (other.Incarnation > alive.Incarnation || other.Incarnation == alive.Incarnation && started[key] <= stat.start) {
			continue
		}
		alive.PID, alive.Identity = pid, identity(boot, stat)
		found[key], started[key] = alive, stat.start
	}
	return found
}

// waiting reports whether the process is still a stub, which leaves by itself.
func waiting(pid int) bool {
	cmdline, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return err == nil && bytes.HasPrefix(cmdline, []byte(stubName+"\x00"))
}

func variable(environ []byte, name string) (string, bool) {
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(name+"=")); ok {
			return string(value), true
		}
	}
	return "", false
}
