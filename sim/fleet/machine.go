package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	node "github.com/vow-os/vow/svc-node/app"
	"github.com/vow-os/vow/svc-node/app/fakesupervisor"
	"github.com/vow-os/vow/svc-node/supervise"
)

// Machine is what an agent runs on: processes without processes, promises that answer what the story says, and an
// installer that reads what to install from the instance's parameters:
//
//	services  names of executables in etc/service; "serve" if absent
//	promises  names of executables in etc/promise; "answers" if absent
//	period    seconds between two sensings of each promise; the default of vow if absent
//	children  titles of instances to request, each with "@computer" if need be; the run waits until they are ready
//	publish   what to publish as connection parameter "url"
type Machine struct {
	Supervisor *fakesupervisor.Supervisor

	name     string
	dir      string
	releases *releases
	work     time.Duration

	mu        sync.Mutex // never held while anything waits
	read      time.Time  // when usage was read last
	boot      int
	installed map[string]bool
	broken    map[string]string        // promise, by partition/name -> what it says
	slow      map[string]time.Duration // partition -> what its profile takes
}

var (
	_ node.Installer = (*Machine)(nil)
	_ node.Sensor    = (*Machine)(nil)
)

func newMachine(dir, name string, all *releases) (*Machine, error) {
	m := &Machine{
		Supervisor: fakesupervisor.New(), name: name, dir: filepath.Join(dir, name), releases: all, boot: 1,
		installed: map[string]bool{}, broken: map[string]string{}, slow: map[string]time.Duration{},
	}
	return m, os.MkdirAll(m.join("software"), 0o750)
}

func (m *Machine) join(name string) string { return filepath.Join(m.dir, name) }

func (m *Machine) bootID() string { return fmt.Sprintf("boot-%d-of-%s", m.boot, m.name) }

// Kill ends a running process by signal 9.
func (m *Machine) Kill(partition, name string) error {
	if !m.Supervisor.Crash(supervise.Key{Partition: partition, Name: name}, supervise.Ending{Signal: 9}) {
		return fmt.Errorf("cannot kill %s of %s on %s: it does not run", name, partition, m.name)
	}
	return nil
}

// Break makes a promise fail with a message; an empty one repairs it.
func (m *Machine) Break(partition, promise, message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if message == "" {
		delete(m.broken, partition+"/"+promise)
		return
	}
	m.broken[partition+"/"+promise] = message
}

// Slow makes the profile of a partition take that long.
func (m *Machine) Slow(partition string, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slow[partition] = d
}

// Sense says what the story says.
func (m *Machine) Sense(_ context.Context, r node.Sensing) *typev1.SenseGroup {
	m.mu.Lock()
	defer m.mu.Unlock()
	if message, ok := m.broken[r.Partition+"/"+r.Promise.Name]; ok {
		return &typev1.SenseGroup{Entries: []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_ERROR, Message: message}}}
	}
	return &typev1.SenseGroup{Entries: []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_INFO, Message: "OK"}}}
}

// Install brings the partition to what its parameters say.
func (m *Machine) Install(ctx context.Context, i node.Installation) (changed bool, err error) {
	e := i.Environment
	m.mu.Lock()
	takes := m.slow[e.PartitionID] + about(m.work, m.name+"/"+e.PartitionID)
	m.mu.Unlock()
	if takes > 0 {
		Pass(ctx, takes)
	}
	parameter := func(name, otherwise string) string {
		if value := e.Parameters[name]; value != "" {
			return value
		}
		return otherwise
	}
	files := map[string]string{}
	for _, name := range names(parameter("services", "serve")) {
		files["etc/service/"+name] = "a service"
	}
	for _, name := range names(parameter("promises", "answers")) {
		files["etc/promise/"+name] = "a sensor"
		if period := e.Parameters["period"]; period != "" {
			files["etc/promise/"+name+".json"] = `{"periodicity": ` + period + `}`
		}
	}
	if changed, err = part(ctx, i, "files", func(context.Context) (bool, error) { return write(e.BuildoutDirectory, files) }); err != nil {
		return changed, err
	}
	return changed, m.ask(ctx, i, names(e.Parameters["children"]), e.Parameters["publish"])
}

// ask requests the children, then publishes; what is not ready is waited for.
func (m *Machine) ask(ctx context.Context, i node.Installation, children []string, publish string) error {
	var waiting error
	shared := names(i.Environment.Parameters["shared"])
	for _, child := range append(children, shared...) {
		title, computer, _ := strings.Cut(child, "@")
		_, err := part(ctx, i, "request "+title, func(ctx context.Context) (bool, error) {
			r := node.Request{Title: title, Release: i.Environment.SoftwareReleaseURL, Shared: slices.Contains(shared, child)}
			if computer != "" {
				r.SLA = map[string]string{"computer_guid": computer}
			}
			answer, err := i.World.Request(ctx, r)
			if err == nil && !answer.Ready && waiting == nil {
				waiting = fmt.Errorf("%w: %s: %s", node.ErrNotAvailable, title, answer.Reason)
			}
			return false, err
		})
		if err != nil {
			return err
		}
	}
	if waiting != nil {
		return waiting
	}
	publications := map[string]string{} // by the shared instance's reference; empty = its own
	if publish != "" {
		publications[""] = publish
	}
	var hosted []struct {
		Reference string `json:"slave_reference"`
		Title     string `json:"slave_title"`
	}
	if list := i.Environment.Parameters["slave_instance_list"]; list != "" {
		if err := json.Unmarshal([]byte(list), &hosted); err != nil {
			return err
		}
	}
	for _, h := range hosted {
		publications[h.Reference] = "http://" + h.Title
	}
	for _, of := range slices.Sorted(maps.Keys(publications)) {
		_, err := part(ctx, i, "publish", func(ctx context.Context) (bool, error) {
			now, err := i.World.Published(ctx, of)
			if err != nil || now["url"] == publications[of] {
				return false, err
			}
			return true, i.World.Publish(ctx, of, map[string]string{"url": publications[of]})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// part tells the run of a part, as the real installer does.
func part(ctx context.Context, i node.Installation, name string, do func(context.Context) (bool, error)) (bool, error) {
	ctx, end := i.Part(ctx, name)
	changed, err := do(ctx)
	end(err)
	return changed, err
}

// write writes what differs.
func write(directory string, files map[string]string) (changed bool, err error) {
	paths := make([]string, 0, len(files))
	for path := range files {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		target := filepath.Join(directory, path)
		if have, err := os.ReadFile(target); err == nil && string(have) == files[path] {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
			return changed, err
		}
		mode := os.FileMode(0o700)
		if strings.HasSuffix(path, ".json") {
			mode = 0o600
		}
		if err := os.WriteFile(target, []byte(files[path]), mode); err != nil {
			return changed, err
		}
		changed = true
	}
	return changed, nil
}

func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}
