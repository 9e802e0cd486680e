package sample

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
)

// Front is a server that leads to others.
type Front struct {
	// Address is a loopback IP address.
	Address string
	// Port is 1–65535.
	Port int
	// Routes is the path of a JSON object: the first part of a path, and the URL that it leads to. It is read once.
	Routes string
}

// ServeFront listens until SIGTERM or SIGINT.
func ServeFront(ctx context.Context, f Front) error {
	routes, err := readRoutes(f.Routes)
	if err != nil {
		return err
	}
	return listen(ctx, "frontend", f.Address, f.Port, front(routes))
}

func readRoutes(path string) (map[string]*url.URL, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read --routes: %w", err)
	}
	var texts map[string]string
	if err := json.Unmarshal(data, &texts); err != nil {
		return nil, fmt.Errorf("cannot read --routes %q: %w", path, err)
	}
	routes := make(map[string]*url.URL, len(texts))
	for name, text := range texts {
		if routes[name], err = url.Parse(text); err != nil {
			return nil, fmt.Errorf("cannot lead %q: %w", name, err)
		}
	}
	return routes, nil
}

// front leads /NAME/… to where NAME is, and says at / that it is there. What has no route is 404, what does not answer 502.
func front(routes map[string]*url.URL) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		to := routes[name]
		switch {
		case r.URL.Path == "/":
			w.WriteHeader(http.StatusOK)
		case to == nil:
			http.NotFound(w, r)
		default:
			(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
				p.Out.URL.Path, p.Out.URL.RawPath = "/"+rest, ""
				p.SetURL(to)
				p.SetXForwarded()
			}}).ServeHTTP(w, r)
		}
	})
	return mux
}
