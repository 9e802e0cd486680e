package supervisor

import "github.com/vow-os/vow/svc-node/internal/supervisorapi"

// Client speaks with the supervisor of one folder, as the agent does.
type Client = supervisorapi.Client

// NewClient returns the client of the supervisor of a folder, which need not run yet.
func NewClient(dir string) *Client { return supervisorapi.New(dir) }
