package fleet_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/memnet"
	"github.com/vow-os/vow/sim/fleet"
	node "github.com/vow-os/vow/svc-node/app"
)

// commands are the sentences of scripts.
var commands = map[string]command{
	// computer NAME [partitions=4] [slots=2] [periodicity=24h] [release=hello|none]
	"computer": func(ctx context.Context, s *telling, args []string) error {
		plain, named := options(args)
		partitions, err := number(named["partitions"], 4)
		if err != nil {
			return err
		}
		slots, err := number(named["slots"], 2)
		if err != nil {
			return err
		}
		periodicity, err := duration(named["periodicity"], 24*time.Hour)
		if err != nil {
			return err
		}
		var releases []string
		if named["release"] != "none" {
			releases = []string{"hello"}
		}
		return s.Add(ctx, fleet.Computer{Name: plain[0], Partitions: partitions, Slots: slots, Periodicity: periodicity}, releases...)
	},
	// release NAME [quota=N] [periodicity=D] [policy=ancestors]
	"release": func(_ context.Context, s *telling, args []string) error {
		plain, named := options(args)
		var o node.ReleaseOptions
		if named["quota"] != "" {
			quota, err := number(named["quota"], 0)
			if err != nil {
				return err
			}
			o.BangQuota, o.HasQuota = uint32(quota), true
		}
		var err error
		if o.Periodicity, err = duration(named["periodicity"], 0); err != nil {
			return err
		}
		s.Release(plain[0], o)
		return nil
	},
	// request TITLE [on=COMPUTER] [parameter=value …]
	"request": func(ctx context.Context, s *telling, args []string) error {
		plain, named := options(args)
		computer := named["on"]
		delete(named, "on")
		_, err := s.Operator.Request(ctx, plain[0], "hello", computer, named)
		return err
	},
	// stop-instance TITLE, destroy TITLE: set the requested state.
	"destroy": func(ctx context.Context, s *telling, args []string) error {
		i, err := s.Operator.Instance(ctx, args[0])
		if err != nil {
			return err
		}
		_, err = s.Operator.Instances.SetInstanceState(ctx, &masterv1.SetInstanceStateRequest{InstanceId: i.GetInstanceId(), State: typev1.RequestedState_REQUESTED_STATE_DESTROYED})
		return err
	},
	// green TITLE within D
	"green": func(ctx context.Context, s *telling, args []string) error {
		within, err := time.ParseDuration(args[len(args)-1])
		if err != nil {
			return err
		}
		return s.Until(ctx, within, func(ctx context.Context) (string, error) {
			return args[0] + " is green", s.Operator.Green(ctx, args[0])
		})
	},
	// converged TITLE within D
	"converged": func(ctx context.Context, s *telling, args []string) error {
		within, err := time.ParseDuration(args[len(args)-1])
		if err != nil {
			return err
		}
		return s.Until(ctx, within, func(ctx context.Context) (string, error) {
			return args[0] + " has converged", s.Operator.Converged(ctx, args[0])
		})
	},
	// red TITLE: it is now.
	"red": func(ctx context.Context, s *telling, args []string) error {
		if s.Operator.Green(ctx, args[0]) == nil {
			return fmt.Errorf("%s is green", args[0])
		}
		return nil
	},
	// wait D
	"wait": func(ctx context.Context, _ *telling, args []string) error {
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		fleet.Pass(ctx, d)
		return nil
	},
	// bang TITLE [N]: N bangs by hand, one after the other as fast as they are answered.
	"bang": func(ctx context.Context, s *telling, args []string) error {
		n, err := number(strings.Join(args[1:], ""), 1)
		if err != nil {
			return err
		}
		for range n {
			if _, err := s.Operator.Bang(ctx, args[0], fmt.Sprintf("bang-%d", time.Now().UnixNano())); err != nil {
				return err
			}
		}
		return nil
	},
	// exit TITLE PROCESS: the process is killed.
	"exit": func(ctx context.Context, s *telling, args []string) error {
		i, err := s.Operator.Instance(ctx, args[0])
		if err != nil {
			return err
		}
		return s.Machine(i.GetComputer()).Kill(i.GetPartition(), args[1])
	},
	// break TITLE PROMISE words…; repair TITLE PROMISE
	"break": func(ctx context.Context, s *telling, args []string) error {
		return s.promise(ctx, args[0], args[1], strings.Join(args[2:], " "))
	},
	"repair": func(ctx context.Context, s *telling, args []string) error {
		return s.promise(ctx, args[0], args[1], "")
	},
	// slow TITLE D: its profile takes that long.
	"slow": func(ctx context.Context, s *telling, args []string) error {
		i, err := s.Operator.Instance(ctx, args[0])
		if err != nil {
			return err
		}
		d, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		s.Machine(i.GetComputer()).Slow(i.GetPartition(), d)
		return nil
	},
	// start HOST, stop HOST, restart HOST, kill HOST
	"start": func(ctx context.Context, s *telling, args []string) error { return s.Start(ctx, args[0]) },
	"stop":  func(ctx context.Context, s *telling, args []string) error { return s.Halt(ctx, args[0]) },
	"kill": func(_ context.Context, s *telling, args []string) error {
		s.orphans = true
		return s.Crash(args[0])
	},
	"restart": func(ctx context.Context, s *telling, args []string) error {
		if err := s.Halt(ctx, args[0]); err != nil {
			return err
		}
		return s.Start(ctx, args[0])
	},
	// cut A B, heal A B: what is sent between them is lost.
	"cut": func(_ context.Context, s *telling, args []string) error {
		s.Network.Cut(host(args[0]), host(args[1]), memnet.Drop)
		return nil
	},
	"heal": func(_ context.Context, s *telling, args []string) error {
		s.Network.Heal(host(args[0]), host(args[1]))
		return nil
	},
	// never red for D: asks every second.
	"never": func(ctx context.Context, s *telling, args []string) error {
		d, err := time.ParseDuration(args[len(args)-1])
		if err != nil {
			return err
		}
		for end := time.Now().Add(d); time.Now().Before(end); fleet.Pass(ctx, time.Second) {
			red, err := s.Operator.Red(ctx)
			if err != nil || len(red) > 0 {
				return fmt.Errorf("%s are red: %w", red, err)
			}
		}
		return nil
	},
	// begin: what follows is told from here.
	"begin": func(_ context.Context, s *telling, _ []string) error { return s.begin() },
	// expect WHAT [OF WHAT] [words…]: compared with the file of that name.
	"expect": func(ctx context.Context, s *telling, args []string) error {
		got, err := s.what(ctx, args)
		if err != nil {
			return err
		}
		return s.expect(strings.Join(args, " "), got)
	},
	// errors expected: services log errors in this story.
	"errors": func(_ context.Context, s *telling, _ []string) error { s.problems = true; return nil },
	// spans lost: processes are killed that had begun spans.
	"spans": func(_ context.Context, s *telling, _ []string) error { s.orphans = true; return nil },
	// late-report TITLE token=-1|allocation=N: a report that comes too late is refused, and says why.
	"late-report": lateReport,
}

func host(name string) string {
	if name == "everyone" {
		return memnet.Any
	}
	return name
}

func (s *telling) begin() (err error) {
	s.since = time.Now()
	s.counted, err = s.Points()
	return err
}

func (s *telling) promise(ctx context.Context, title, promise, message string) error {
	i, err := s.Operator.Instance(ctx, title)
	if err != nil {
		return err
	}
	s.Machine(i.GetComputer()).Break(i.GetPartition(), promise, message)
	return nil
}

// what is what "expect" compares.
func (s *telling) what(ctx context.Context, args []string) (string, error) {
	switch args[0] {
	case "state": // "state afterwards" is another file
		return s.State(ctx)
	case "transcript":
		only := ""
		if len(args) > 1 && strings.HasPrefix(args[1], "svc-") {
			only = args[1]
		}
		return s.Transcript(ctx, s.since, only)
	case "metrics":
		return s.Metrics(s.counted)
	case "agenda":
		return s.AgendaEntries(ctx)
	case "trace":
		return s.Trace(ctx, args[1])
	case "answer":
		return s.answer + "\n", nil
	case "runs":
		every, err := time.ParseDuration(args[1])
		if err != nil {
			return "", err
		}
		return s.Runs(s.since, every), nil
	case "bangs":
		return s.BangRecords(ctx, args[1])
	}
	return "", fmt.Errorf("%w: want state, transcript, metrics, agenda, trace or bangs", errUsage)
}

// lateReport reports a run that is not the latest one, by token or by allocation.
func lateReport(ctx context.Context, s *telling, args []string) error {
	i, err := s.Operator.Instance(ctx, args[0])
	if err != nil {
		return err
	}
	r := &masterv1.ReportRunRequest{
		Computer: i.GetComputer(), Partition: i.GetPartition(), AllocationId: i.GetAllocationId(), RunId: "run-of-long-ago", Token: 1,
		Result: typev1.RunResult_RUN_RESULT_FAILURE, Error: "too late", Cause: typev1.Cause_CAUSE_CHANGED,
	}
	if _, named := options(args[1:]); named["allocation"] != "" {
		tree, _, _ := strings.Cut(i.GetAllocationId(), ".")
		r.AllocationId = tree + "." + named["allocation"]
	}
	s.answer = "accepted"
	if _, err := s.Operator.Runs.ReportRun(ctx, r); err != nil {
		s.answer, err = s.Named(ctx, err.Error())
		return err
	}
	return nil
}
