package pythonhost

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/sensor"
	"github.com/vow-os/vow/svc-node/internal/sensor/child"
)

const (
	// maxEntries is how many entries a group may have.
	maxEntries = 100
	// maxOutput is how much of what a plugin printed is told when it gave no result.
	maxOutput = 1000
	// maxPeriod is the longest period that is believed: the rarest promise of SlapOS asks for 86,400 minutes.
	maxPeriod = 400 * 24 * time.Hour
)

// result is what a promise's process says, as vowsense.py writes it. Any plugin can write anything in its place.
type result struct {
	Entries      [][2]string `json:"entries"`
	Error        string      `json:"error"`
	Value        *float64    `json:"value"`
	Period       float64     `json:"period"`
	BangDisabled bool        `json:"bang_disabled"`
	Testless     bool        `json:"testless"`
	Anomalyless  bool        `json:"anomalyless"`
	OwnTest      *ownVerdict `json:"own_test"`
	OwnAnomaly   *ownVerdict `json:"own_anomaly"`
}

type ownVerdict struct {
	Failed        bool   `json:"failed"`
	Message       string `json:"message"`
	AnomalyResult bool   `json:"anomaly_result"`
}

var levels = map[string]typev1.LogLevel{
	"DEBUG": typev1.LogLevel_LOG_LEVEL_DEBUG, "INFO": typev1.LogLevel_LOG_LEVEL_INFO, "WARNING": typev1.LogLevel_LOG_LEVEL_WARNING,
	"ERROR": typev1.LogLevel_LOG_LEVEL_ERROR, "CRITICAL": typev1.LogLevel_LOG_LEVEL_CRITICAL,
}

// telling is a group, and what goes elsewhere.
type telling struct {
	sensor.Traits
	group *typev1.SenseGroup
	// lost is what became of an execution that gave no result; empty = it gave one.
	lost string
}

// translate makes a group of an answer. failedBefore tells how the promise's last execution went: one without a result is
// an anomaly only if it follows a failure, and never bangs, as SlapOS has it.
func translate(a *answer, r sensor.Request, failedBefore bool) telling {
	if a.How == "error" {
		return telling{group: &typev1.SenseGroup{Error: clip("cannot sense " + r.Promise.File + ": " + a.Output)}}
	}
	if a.How == "result" {
		told, err := read(a.result, r)
		if err == nil {
			return told
		}
		a.Output = err.Error()
	}
	message := clip(ending(a, r))
	return telling{lost: message, group: &typev1.SenseGroup{
		Entries:    []*typev1.LogEntry{{Level: typev1.LogLevel_LOG_LEVEL_ERROR, Message: message}},
		OwnTest:    &typev1.OwnVerdict{Failed: true, Message: message},
		OwnAnomaly: &typev1.OwnVerdict{Failed: failedBefore, Message: message},
	}}
}

// ending tells how a process ended that gave no result. What it printed follows, since it may say why.
func ending(a *answer, r sensor.Request) string {
	how := "Error: No output returned by the promise"
	switch a.How {
	case "timeout":
		how = fmt.Sprintf("Error: Promise timed out after %g seconds", r.Promise.Timeout.Seconds())
	case "output":
		how = "Error: Promise printed without end and was killed"
	case "result":
		how = "Error: Promise gave a result that cannot be read"
	case "signal":
		how += ": its process was killed by signal " + syscall.Signal(a.Code).String()
	case "exit":
		how += fmt.Sprintf(": its process exited with code %d", a.Code)
	}
	printed := strings.TrimSpace(strings.ToValidUTF8(a.Output, "\uFFFD"))
	if printed == "" {
		return how
	}
	return how + ": " + child.Last(printed, maxOutput)
}

func read(content []byte, r sensor.Request) (telling, error) {
	var said result
	if err := json.Unmarshal(content, &said); err != nil {
		return telling{}, fmt.Errorf("cannot read the result: %w", err)
	}
	if said.Error != "" {
		return telling{group: &typev1.SenseGroup{Error: clip("cannot execute " + r.Promise.File + ": " + said.Error)}}, nil
	}
	group := &typev1.SenseGroup{
		BangDisabled: said.BangDisabled, Testless: said.Testless, Anomalyless: said.Anomalyless, OwnTest: said.OwnTest.proto(), OwnAnomaly: said.OwnAnomaly.proto(),
	}
	if said.Value != nil && !math.IsNaN(*said.Value) && !math.IsInf(*said.Value, 0) {
		group.Value = said.Value
	}
	entries := said.Entries[max(0, len(said.Entries)-maxEntries):]
	for _, entry := range entries {
		level, ok := levels[entry[0]]
		if !ok {
			level = typev1.LogLevel_LOG_LEVEL_INFO // a level of the plugin's own is no failure, as in SlapOS
		}
		group.Entries = append(group.Entries, &typev1.LogEntry{Level: level, Message: clip(entry[1])})
	}
	told := telling{group: group, Traits: sensor.Traits{Testless: said.Testless, Anomalyless: said.Anomalyless}}
	if said.Period > 0 && said.Period <= maxPeriod.Seconds() {
		told.Period = max(time.Duration(said.Period*float64(time.Second)), time.Nanosecond)
	}
	return told, nil
}

func (v *ownVerdict) proto() *typev1.OwnVerdict {
	if v == nil {
		return nil
	}
	return &typev1.OwnVerdict{Failed: v.Failed, Message: clip(v.Message), AnomalyResult: v.AnomalyResult}
}

func failed(g *typev1.SenseGroup) bool {
	return g.GetError() != "" || slices.ContainsFunc(g.GetEntries(), func(e *typev1.LogEntry) bool {
		return e.GetLevel() >= typev1.LogLevel_LOG_LEVEL_ERROR
	})
}

// clip makes valid UTF-8 of at most child.MaxCharacters of a message.
func clip(s string) string { return child.Last(strings.ToValidUTF8(s, "\uFFFD"), child.MaxCharacters) }
