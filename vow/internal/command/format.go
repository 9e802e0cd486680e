package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	node "github.com/vow-os/vow/svc-node/app"
	"github.com/vow-os/vow/vow/internal/client"
)

// newNodeFormat is `vow node format`: directories, users and addresses of partitions.
func newNodeFormat(s *session) *cobra.Command {
	var given node.Wish
	var file string
	var yes bool
	format := &cobra.Command{
		Use: "format", Short: "Give this machine partitions: directories, users and addresses",
		Long: `Give this machine partitions: directories, users and addresses.

Shows what would change; --yes carries it out. What was formatted before is kept unless a flag or the file says otherwise, and
formatting twice changes nothing. As root every partition gets a user and a group of its own, as does the software
root, and addresses are added to the interface; otherwise all are yours. A partition with content is never removed.`,
		Example: `  vow node format --partitions 20 --ipv4 10.0.0.0/16
  vow node format --file computer.yaml --yes`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			wish, err := wishOf(c, given, file)
			if err != nil {
				return err
			}
			changes, err := node.PlanFormat(wish)
			if err != nil {
				return err
			}
			if yes {
				if err := node.Format(c.Context(), wish, changes, func(node.FormatChange) {}); err != nil {
					return err
				}
			}
			if s.json() {
				return s.object(map[string]any{"wish": wish, "changes": append([]node.FormatChange{}, changes...), "carried_out": yes})
			}
			return printFormat(s, wish, changes, yes)
		},
	}
	flags := format.Flags()
	flags.StringVar(&given.InstanceRoot, "instance-root", "", "`folder` of the partitions (default /srv/vow/instance as root)")
	flags.StringVar(&given.SoftwareRoot, "software-root", "", "`folder` of the software releases (default /srv/vow/software as root)")
	flags.IntVar(&given.Partitions, "partitions", node.DefaultPartitions, "`number` of partitions, slappart0 and on")
	flags.StringVar(&given.UserPrefix, "user-prefix", "slapuser", "`beginning` of the names of their users, as root")
	flags.StringVar(&given.SoftwareUser, "software-user", "slapsoft", "`user` who owns the software root and builds software releases, as root")
	flags.StringVar(&given.Interface, "interface", "lo", "network `interface` that addresses are added to, as root")
	flags.StringSliceVar(&given.IPv4, "ipv4", nil, "a `network`, such as 10.0.0.0/16, or an address per partition (default 127.16.0.0/16)")
	flags.StringSliceVar(&given.IPv6, "ipv6", nil, "a `network` or an address per partition; none by default")
	flags.StringVar(&file, "file", "", "YAML or JSON `file` with these, as instance_root, partitions, …")
	flags.BoolVarP(&yes, "yes", "y", false, "carry the plan out")
	return format
}

// wishOf is what is wanted: the defaults, over them what was formatted before, the file, and the flags.
func wishOf(c *cobra.Command, given node.Wish, file string) (node.Wish, error) {
	wish := node.DefaultWish()
	root := wish.InstanceRoot
	if file != "" {
		named, err := wish.Load(file)
		if err != nil {
			return wish, err
		}
		root = named.InstanceRoot
	}
	changed := c.Flags().Changed
	if changed("instance-root") {
		root = given.InstanceRoot
	}
	before, formatted, err := node.FormattedWish(root)
	if err != nil {
		return wish, err
	}
	if formatted {
		wish = before
	}
	wish.InstanceRoot = root
	if file != "" {
		if wish, err = wish.Load(file); err != nil {
			return wish, err
		}
	}
	for flag, take := range map[string]func(){
		"instance-root": func() { wish.InstanceRoot = given.InstanceRoot }, "software-root": func() { wish.SoftwareRoot = given.SoftwareRoot },
		"partitions": func() { wish.Partitions = given.Partitions }, "user-prefix": func() { wish.UserPrefix = given.UserPrefix },
		"software-user": func() { wish.SoftwareUser = given.SoftwareUser },
		"interface":     func() { wish.Interface = given.Interface }, "ipv4": func() { wish.IPv4 = given.IPv4 }, "ipv6": func() { wish.IPv6 = given.IPv6 },
	} {
		if changed(flag) {
			take()
		}
	}
	return wish, nil
}

func printFormat(s *session, wish node.Wish, changes []node.FormatChange, done bool) error {
	if len(changes) == 0 {
		fmt.Fprintf(s.out, "%s is formatted: %d partitions, nothing to change\n", wish.InstanceRoot, wish.Partitions)
		return nil
	}
	rows := make([][]string, 0, len(changes))
	for _, c := range changes {
		rows = append(rows, []string{"  " + string(c.Action), c.Name, c.Detail})
	}
	if err := table(s.out, rows); err != nil {
		return err
	}
	if done {
		fmt.Fprintf(s.out, "%d changes carried out\n", len(changes))
		return nil
	}
	fmt.Fprintf(s.out, "%d changes; --yes carries them out\n", len(changes))
	return nil
}

// newNodeRegister is `vow node register`: what the agent does at start, by hand.
func newNodeRegister(s *session) *cobra.Command {
	vars := node.Vars()
	cfg := node.Config{PartitionAddress: []string{"127.0.0.1"}, Register: true}
	register := &cobra.Command{
		Use: "register", Short: "Tell svc-master what this machine has: partitions, addresses, CPUs, memory, disk",
		Long: `Tell svc-master what this machine has: partitions, addresses, CPUs, memory and disk.

The agent does this at start and whenever something changes; by hand it shows what svc-master says to it. Partitions that are
no longer there are removed if they are free; one that holds an instance is named, and nothing changes.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg.StateDir = cfg.InstanceRoot // not used
			request, err := node.Registration(cfg)
			if err != nil {
				return err
			}
			return s.with(c.Context(), func(ctx context.Context, f *client.Fleet) error {
				response, err := f.Computers.RegisterComputer(ctx, request)
				if err != nil {
					return fmt.Errorf("cannot register computer %q: %w", cfg.Computer, err)
				}
				if s.json() {
					return s.message(response)
				}
				return printComputer(s, response.GetComputer(), nil, time.Now())
			})
		},
	}
	wish := node.DefaultWish()
	flags := register.Flags()
	flags.StringVar(&cfg.Computer, "computer", vars["computer"], "`name` of the computer")
	flags.StringVar(&cfg.InstanceRoot, "instance-root", wish.InstanceRoot, "`folder` of the partitions, as formatted")
	flags.StringVar(&cfg.SoftwareRoot, "software-root", wish.SoftwareRoot, "`folder` of the software releases")
	flags.IntVar(&cfg.Partitions, "partitions", node.DefaultPartitions, "`number` of partitions when nothing is formatted")
	flags.DurationVar(&cfg.Periodicity, "periodicity", 24*time.Hour, "longest `time` between two runs of a partition, 1m to 24h")
	flags.IntVar(&cfg.Slots, "slots", 0, "`number` of partitions that run at once; 0 = the CPUs")
	return register
}

// size is a number of bytes as people read it.
func size(bytes uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	value, unit := float64(bytes), 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + units[unit]
}
