package command

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// slaFlags is what the flags say that an instance needs of its computer.
type slaFlags struct {
	group, memory, disk string
	host                string
	labels              []string
	cpu                 float64
	mayMove             bool
}

func (s *slaFlags) declare(f *pflag.FlagSet) {
	f.StringVar(&s.group, "group", "", "`group` of computers to put it on")
	f.StringArrayVar(&s.labels, "label", nil, "a label, `key=value`, that its computer must have; may be repeated")
	f.Float64Var(&s.cpu, "cpu", 0, "`CPUs` reserved for it, 0.001 to 4096")
	f.StringVar(&s.memory, "memory", "", "memory reserved for it, in bytes or with a `unit`: 512MiB, 2GiB")
	f.StringVar(&s.disk, "disk", "", "disk reserved for it, in bytes or with a `unit`: 512MiB, 2GiB")
	f.StringVar(&s.host, "host", "", "`id` of the instance that is to host a shared one (default: any that fits)")
	f.BoolVar(&s.mayMove, "may-move", false, "nothing of value lives in its partition alone: it may begin anew elsewhere when its computer is drained or dead")
}

// message is nil when nothing is needed.
func (s *slaFlags) message() (*masterv1.Sla, error) {
	labels, err := labelsOf(s.labels)
	if err != nil {
		return nil, err
	}
	if s.cpu < 0 || s.cpu > 4096 {
		return nil, fmt.Errorf("cannot use --cpu %g: want 0 to 4096", s.cpu)
	}
	needs := &masterv1.Needs{MilliCpus: uint32(s.cpu * 1000)}
	if needs.MemoryBytes, err = amountOf("--memory", s.memory); err != nil {
		return nil, err
	}
	if needs.DiskBytes, err = amountOf("--disk", s.disk); err != nil {
		return nil, err
	}
	if needs.GetMilliCpus() == 0 && needs.GetMemoryBytes() == 0 && needs.GetDiskBytes() == 0 {
		needs = nil
	}
	if s.group == "" && len(labels) == 0 && needs == nil && !s.mayMove && s.host == "" {
		return nil, nil
	}
	return &masterv1.Sla{Group: s.group, Labels: labels, Needs: needs, MayMove: s.mayMove, HostId: s.host}, nil
}

// amountOf reads an amount: bytes, or a number with KiB, MiB, GiB or TiB.
func amountOf(name, text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	number, shift := text, 0
	for unit, by := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40} {
		if cut, ok := strings.CutSuffix(text, unit); ok {
			number, shift = strings.TrimSpace(cut), by
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if bytes := n * float64(uint64(1)<<shift); err == nil && bytes >= 0 && bytes <= 1<<53 {
		return uint64(bytes), nil
	}
	return 0, fmt.Errorf("cannot use %s %q: want bytes, or a number with KiB, MiB, GiB or TiB", name, text)
}
