package page

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vow-os/vow/console/internal/api"
	"github.com/vow-os/vow/console/internal/asset"
	"github.com/vow-os/vow/console/internal/live"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

// Bounds of the site.
const (
	// pageTimeout bounds the making of a page: what a service has not said by then is not known.
	pageTimeout = 10 * time.Second
	// maxForm bounds the body of an action.
	maxForm = 64 << 10
	// pageSize is the rows of a table.
	pageSize = 100
	// maxQuery bounds what is searched for, in bytes.
	maxQuery = 255
)

// Settings is what the site is made of.
type Settings struct {
	Fleet *api.Fleet
	Hub   *live.Hub
	// TraceURL is where a trace is shown, with {trace_id} in it; empty = nowhere.
	TraceURL string
	// Hostnames by which the console may be reached beside addresses and localhost.
	Hostnames []string
	// MaxLive bounds the live pages that are open at once.
	MaxLive int
	// Stopping ends the streams.
	Stopping <-chan struct{}
	// Telemetry may be nil.
	Telemetry *telemetry.Telemetry
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Site serves all pages.
type Site struct {
	Settings
	templates templates
	assets    *asset.Files
	streams   chan struct{}
	limits    conv.Counter
}

// New parses the templates and makes the site.
func New(s Settings) (*Site, error) {
	files, err := asset.New()
	if err != nil {
		return nil, err
	}
	parsed, err := parse(files)
	if err != nil {
		return nil, err
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	s.Telemetry = telemetry.OrDisabled(s.Telemetry)
	return &Site{
		Settings: s, templates: parsed, assets: files, streams: make(chan struct{}, s.MaxLive),
		limits: conv.LimitHits.New(s.Telemetry.Meter("console/page")),
	}, nil
}

// view is what a page shows.
type view struct {
	// Title of the document.
	Title string
	// Section of the navigation.
	Section string
	// Name of the template.
	Name string
	// Colour of what is shown, for the document's title; empty = none.
	Colour string
	// Topic and About wake the live page; no topic = it is not live.
	Topic, About string
	// Feed is the URL of an Atom feed of what is shown.
	Feed string
	// Unknown is what could not be asked.
	Unknown []string
	// Page is the template's own.
	Page any
	// Status of the answer; 0 = 200.
	Status int
}

// maker makes a page: what was asked for in, what is shown out.
type maker func(ctx context.Context, r *http.Request, now time.Time) (view, error)

// redirect is a view that is elsewhere.
type redirect struct{ to string }

func (r redirect) Error() string { return "see " + r.to }

// Handler is all pages.
func (s *Site) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, make := range map[string]maker{
		"/{$}":                           s.fleetPage,
		"/computers/{name}":              s.computerPage,
		"/trees":                         s.treesPage,
		"/trees/{id}":                    s.treePage,
		"/trees/{id}/bangs":              s.treeBangsPage,
		"/instances/{id}":                s.instancePage,
		"/instances/{id}/processes":      s.processesPage,
		"/instances/{id}/logs/{process}": s.logPage,
		"/convergences/{id}":             s.convergencePage,
		"/promises/{allocation}/{name}":  s.promisePage,
		"/bangs":                         s.bangsPage,
		"/agenda":                        s.agendaPage,
		"/crimes":                        s.crimesPage,
		"/audit":                         s.auditPage,
		"/search":                        s.searchPage,
		"/act/{verb}":                    s.confirmPage,
	} {
		mux.HandleFunc("GET "+pattern, s.page(make))
	}
	mux.HandleFunc("POST /act/{verb}", s.act)
	mux.HandleFunc("GET /trees/{id}/feed.atom", s.feed)
	mux.HandleFunc("GET /promises/{allocation}/{name}/points", s.points)
	mux.Handle("GET /assets/", s.assets)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, rpc.Errorf(rpc.CodeNotFound, "cannot find the page %q", r.URL.Path))
	})
	protection := http.NewCrossOriginProtection()
	return s.guard(protection.Handler(mux))
}

// guard is what holds for every answer.
func (s *Site) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.mayBeCalled(r.Host) {
			http.Error(w, fmt.Sprintf("cannot serve host %q: use an address or localhost, or allow it with --hostname", r.Host), http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// mayBeCalled refuses names that we do not know: a page elsewhere whose name was bound to our address anew would else pass as one of ours.
func (s *Site) mayBeCalled(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	return host == "localhost" || net.ParseIP(host) != nil || slices.Contains(s.Hostnames, host)
}

// page answers with a page, or with its stream when it is asked for that.
func (s *Site) page(make maker) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("live") != "" {
			s.stream(w, r, make)
			return
		}
		v, err := s.make(r, make)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.write(w, r, v)
	}
}

// make makes a page within its time.
func (s *Site) make(r *http.Request, make maker) (view, error) {
	ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
	defer cancel()
	return make(ctx, r, s.Now())
}

// token of the browser: what a form carries must equal its cookie, which no other site can read or set for us.
const tokenCookie = "vow_token"

func (s *Site) write(w http.ResponseWriter, r *http.Request, v view) {
	cookie, err := r.Cookie(tokenCookie)
	if err != nil || len(cookie.Value) < 20 || len(cookie.Value) > 64 {
		cookie = &http.Cookie{Name: tokenCookie, Value: rand.Text(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil}
		http.SetCookie(w, cookie)
	}
	body, err := s.templates.document(shellOf(v, r, cookie.Value, s.Now()))
	if err != nil {
		s.Telemetry.Log.ErrorContext(r.Context(), "cannot make a page", "page", v.Name, "error", err)
		http.Error(w, "cannot make this page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if v.Status != 0 {
		w.WriteHeader(v.Status)
	}
	_, _ = w.Write(body) // whoever asked may be gone
}

// fail answers with a page that says what is wrong.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	var elsewhere redirect
	if errors.As(err, &elsewhere) {
		http.Redirect(w, r, elsewhere.to, http.StatusSeeOther)
		return
	}
	s.write(w, r, s.failure(err))
}

// failure is the page of an error.
func (s *Site) failure(err error) view {
	page := struct{ Headline, Detail, Advice string }{Headline: "This did not work", Detail: err.Error()}
	status := http.StatusInternalServerError
	switch {
	case rpc.IsNotFound(err):
		status, page.Headline = http.StatusNotFound, "There is nothing here"
	case rpc.IsInvalidArgument(err):
		status, page.Headline = http.StatusBadRequest, "That cannot be asked"
	case rpc.IsFailedPrecondition(err), rpc.IsAlreadyExists(err):
		status, page.Headline = http.StatusConflict, "That is not possible now"
	case rpc.IsResourceExhausted(err):
		status, page.Headline = http.StatusTooManyRequests, "Refused"
	case rpc.IsUnavailable(err), rpc.IsDeadlineExceeded(err), errors.Is(err, context.DeadlineExceeded):
		status, page.Headline = http.StatusServiceUnavailable, "A service does not answer"
		page.Advice = "Colours are not known while svc-master (" + s.Fleet.Addresses.Master + ") is away. Nodes keep services and promises by themselves meanwhile."
	}
	return view{Title: page.Headline, Name: "failure", Page: page, Status: status}
}
