package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/vow-os/vow/tools/cluster/manifest"
)

// questionTimeout bounds one request.
const questionTimeout = time.Minute

// Client asks one API server. Apply is for one goroutine.
type Client struct {
	base, token, manager string
	http                 *http.Client
	kinds                map[string]resource // by apiVersion and kind
}

// New makes a client of the server at an https URL, which must be a child of the caller or of its caller on this machine: its certificate is its own, made a second ago, and is not checked.
// The token is a bearer token; manager is the name under which fields are owned.
func New(base, token, manager string) *Client {
	return &Client{
		base: base, token: token, manager: manager, kinds: map[string]resource{},
		http: &http.Client{Timeout: questionTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
	}
}

// Refused is what the server answered instead of doing it.
type Refused struct {
	// Status is HTTP's.
	Status  int
	Message string
}

func (r *Refused) Error() string { return r.Message }

// IsStatus says whether an error is the server's answer with this HTTP status.
func IsStatus(err error, status int) bool {
	var r *Refused
	return errors.As(err, &r) && r.Status == status
}

// resource is how the API server calls a kind.
type resource struct {
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	Namespaced bool   `json:"namespaced"`
}

// Apply applies an object, server-side and strict about fields; as a dry run it changes nothing. A warning is an error.
func (c *Client) Apply(ctx context.Context, o manifest.Object, dryRun bool) error {
	r, err := c.resource(ctx, o)
	if err != nil {
		return err
	}
	path := groupPath(o.APIVersion)
	if r.Namespaced {
		path += "/namespaces/" + o.Namespace
	}
	path += "/" + r.Name + "/" + o.Name + "?fieldManager=" + c.manager + "&fieldValidation=Strict&force=true"
	if dryRun {
		path += "&dryRun=All"
	}
	_, err = c.Ask(ctx, http.MethodPatch, path, "application/apply-patch+yaml", o.YAML)
	return err
}

// Get reads what is at a path into an object, which is any that encoding/json takes.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	answer, err := c.Ask(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, into)
}

// Patch merges JSON into the object at a path.
func (c *Client) Patch(ctx context.Context, path, merge string) error {
	_, err := c.Ask(ctx, http.MethodPatch, path, "application/merge-patch+json", []byte(merge))
	return err
}

// resource asks the API server how it calls a kind.
func (c *Client) resource(ctx context.Context, o manifest.Object) (resource, error) {
	key := o.APIVersion + " " + o.Kind
	if r, known := c.kinds[key]; known {
		return r, nil
	}
	var list struct {
		Resources []resource `json:"resources"`
	}
	if err := c.Get(ctx, groupPath(o.APIVersion), &list); err != nil {
		return resource{}, err
	}
	for _, r := range list.Resources {
		if !strings.Contains(r.Name, "/") {
			c.kinds[o.APIVersion+" "+r.Kind] = r
		}
	}
	r, known := c.kinds[key]
	if !known {
		return resource{}, fmt.Errorf("the API server knows no %s", key)
	}
	return r, nil
}

func groupPath(apiVersion string) string {
	if !strings.Contains(apiVersion, "/") {
		return "/api/" + apiVersion
	}
	return "/apis/" + apiVersion
}

// Watch reads what changes at a path, which says watch=true, until the context ends or the caller closes it: JSON, event after event.
func (c *Client) Watch(ctx context.Context, path string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	response, err := (&http.Client{Transport: c.http.Transport}).Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(&Refused{Status: response.StatusCode, Message: response.Status}, response.Body.Close())
	}
	return response.Body, nil
}

// Ask sends one request; the kind is the body's media type.
func (c *Client) Ask(ctx context.Context, method, path, kind string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil { // a question that says what its body is, and has none, is refused
		request.Header.Set("Content-Type", kind)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		var status struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(answer, &status) != nil || status.Message == "" {
			status.Message = string(answer)
		}
		return nil, &Refused{Status: response.StatusCode, Message: status.Message}
	}
	if warnings := response.Header.Values("Warning"); len(warnings) > 0 {
		return nil, fmt.Errorf("warned: %s", strings.Join(warnings, "; "))
	}
	return answer, nil
}

// Ready waits until the server says that it is.
func (c *Client) Ready(ctx context.Context) error {
	return Await(ctx, "the API server", func() (bool, error) {
		_, err := c.Ask(ctx, http.MethodGet, "/readyz", "", nil)
		return err == nil, err
	})
}

// Await asks until the answer is yes or the context ends; the error then says what was waited for and the last error or reason.
func Await(ctx context.Context, what string, ready func() (bool, error)) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		yes, err := ready()
		if yes {
			return nil
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = context.Cause(ctx)
			}
			return fmt.Errorf("cannot wait any longer for %s: %w", what, err)
		case <-tick.C:
		}
	}
}
