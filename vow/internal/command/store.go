package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/human"

	"github.com/spf13/cobra"

	"github.com/vow-os/vow/kit/store"
	"github.com/vow-os/vow/vow/internal/endpoint"
)

// storeFlags say which store is meant.
type storeFlags struct{ url, dir string }

// newStore is `vow store`: what an operator does with the store itself.
func newStore(s *session) *cobra.Command {
	var at storeFlags
	command := &cobra.Command{
		Use: "store", GroupID: "local", Short: "Look at the store of the control plane, back it up, restore it",
		Long: `Look at the store of the control plane, back it up, restore it (docs/store.md).

The store is named by --redis-url (or VOW_REDIS_URL, which keeps a password out of process lists), or by --store-dir for the embedded
store of a vow that is stopped. Without either it is the redis-server of the vow up on this machine.`,
	}
	flags := command.PersistentFlags()
	flags.StringVar(&at.url, "redis-url", "", "`URL` of Redis, as the services take it")
	flags.StringVar(&at.dir, "store-dir", "", "`directory` of an embedded store")
	command.AddCommand(newStoreBackup(s, &at), newStoreRestore(s, &at), newStoreStatus(s, &at))
	return command
}

func newStoreBackup(s *session, at *storeFlags) *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Write everything in the store to a file, while it is in use",
		Example: "  vow store backup vow-$(date +%F).backup\n  VOW_REDIS_URL=redis-sentinel://s1:26379,s2:26379/vow vow store backup vow.backup",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return s.withStore(c.Context(), at, func(ctx context.Context, opened *store.Store) error {
				began := time.Now()
				keys, err := opened.Backup(ctx, args[0], s.told("read"))
				if err != nil {
					return err
				}
				return s.copied("backed up", keys, args[0], began)
			})
		},
	}
}

func newStoreRestore(s *session, at *storeFlags) *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Write a backup into an empty store",
		Long: `Write a backup into an empty store of any kind. No service may use it meanwhile; the file is read to its end before anything is written.

Services that are started on it move the epochs: nodes read everything anew, and what was given out since the backup was made is never given out again.`,
		Example: "  vow store restore vow.backup --redis-url redis://127.0.0.1:6379",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return s.withStore(c.Context(), at, func(ctx context.Context, opened *store.Store) error {
				began := time.Now()
				keys, err := opened.Restore(ctx, args[0], s.told("written"))
				if err != nil {
					return err
				}
				return s.copied("restored", keys, args[0], began)
			})
		},
	}
}

func newStoreStatus(s *session, at *storeFlags) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show what the store is, what a crash of it costs, and the schema versions in it",
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return s.withStore(c.Context(), at, func(ctx context.Context, opened *store.Store) error {
				durability, err := opened.Durability(ctx)
				if err != nil {
					return err
				}
				schemas, err := opened.Schemas(ctx)
				if err != nil {
					return err
				}
				if s.json() {
					return s.object(map[string]any{"store": opened.Name(), "kind": opened.Kind(), "durable": durability.Durable, "durability": durability.Words, "schemas": schemas})
				}
				fmt.Fprintf(s.out, "%s\n  %s\n", opened.Name(), durability.Words)
				names := make([]string, 0, len(schemas))
				for name := range schemas {
					names = append(names, name)
				}
				slices.Sort(names)
				for _, name := range names {
					fmt.Fprintf(s.out, "  schema of %s: %d\n", name, schemas[name])
				}
				return nil
			})
		},
	}
}

// withStore opens the store that is meant. There is no bound on how long it takes: it may hold gigabytes, and its progress is shown.
func (s *session) withStore(ctx context.Context, at *storeFlags, fn func(context.Context, *store.Store) error) (err error) {
	config, err := s.storeConfig(at)
	if err != nil {
		return usageError{err}
	}
	opening, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	opened, err := store.Open(opening, config, store.Settings{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Stop(context.WithoutCancel(ctx))) }()
	return fn(ctx, opened)
}

// storeConfig finds the store.
func (s *session) storeConfig(at *storeFlags) (store.Config, error) {
	url := at.url
	if url == "" && at.dir == "" {
		url = os.Getenv("VOW_REDIS_URL")
	}
	switch {
	case url != "" && at.dir != "":
		return store.Config{}, errors.New("cannot use --redis-url and --store-dir together")
	case at.dir != "":
		if _, err := os.Stat(at.dir); err != nil {
			return store.Config{}, fmt.Errorf("cannot use --store-dir: %w", err)
		}
		return store.Config{Embedded: true, Dir: at.dir}, nil
	case url != "":
		config := store.Config{URL: url}
		return config, config.Validate()
	}
	dir, err := endpoint.Directory(s.data)
	if err != nil {
		return store.Config{}, err
	}
	socket := filepath.Join(dir, "redis", "redis.sock")
	if _, err := os.Stat(socket); err != nil {
		return store.Config{}, fmt.Errorf("cannot find a store: no redis-server of vow up is at %s; name one with --redis-url or --store-dir", socket)
	}
	return store.Config{URL: "unix://" + socket}, nil
}

// told shows progress on a terminal's error output, in steps that do not flood a log.
func (s *session) told(verb string) func(int) {
	const every = 10_000
	next := every
	return func(keys int) {
		if keys >= next {
			fmt.Fprintf(s.errOut, "%d keys %s\n", keys, verb)
			next = keys + every
		}
	}
}

func (s *session) copied(verb string, keys int, file string, began time.Time) error {
	if s.json() {
		return s.object(map[string]any{"file": file, "keys": keys, "seconds": time.Since(began).Seconds()})
	}
	preposition := "to"
	if strings.HasPrefix(verb, "restored") {
		preposition = "from"
	}
	fmt.Fprintf(s.out, "%d keys %s %s %s in %s\n", keys, verb, preposition, file, human.Span(time.Since(began)))
	return nil
}
