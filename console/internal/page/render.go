package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vow-os/vow/console/internal/asset"
	"github.com/vow-os/vow/console/why"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/kit/telemetry"
)

//go:embed template/*.html
var sources embed.FS

// templates is one set per page: the frame and the parts, with the page's own main.
type templates map[string]*template.Template

// parse the templates; a mistake in one is found here.
func parse(files *asset.Files) (templates, error) {
	frame, err := template.New("").Funcs(functions(files)).ParseFS(sources, "template/_*.html")
	if err != nil {
		return nil, fmt.Errorf("cannot parse the templates: %w", err)
	}
	names, err := sources.ReadDir("template")
	if err != nil {
		return nil, err
	}
	all := templates{}
	for _, n := range names {
		name, _, _ := strings.Cut(n.Name(), ".")
		if strings.HasPrefix(name, "_") {
			continue
		}
		own, err := frame.Clone()
		if err == nil {
			own, err = own.ParseFS(sources, path.Join("template", n.Name()))
		}
		if err != nil {
			return nil, fmt.Errorf("cannot parse template %s: %w", n.Name(), err)
		}
		all[name] = own
	}
	return all, nil
}

// document is a whole page.
func (t templates) document(s shell) ([]byte, error) { return t.execute("document", s) }

// main is what a live update replaces.
func (t templates) main(s shell) ([]byte, error) { return t.execute("main", s) }

func (t templates) execute(part string, s shell) ([]byte, error) {
	own := t[s.Name]
	if own == nil {
		return nil, fmt.Errorf("there is no template %q", s.Name)
	}
	var out bytes.Buffer
	if err := own.ExecuteTemplate(&out, part, s); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// shell is what every template is given.
type shell struct {
	view
	Now time.Time
	// Live is the URL of the page's stream; empty = it has none.
	Live string
	// Token of the browser, for forms.
	Token string
	// Query of the search box.
	Query string
}

func shellOf(v view, r *http.Request, token string, now time.Time) shell {
	s := shell{view: v, Now: now, Token: token}
	if v.Topic != "" {
		query := r.URL.Query()
		query.Set("live", "1")
		s.Live = r.URL.EscapedPath() + "?" + query.Encode()
	}
	if v.Section == "search" {
		s.Query = r.URL.Query().Get("q")
	}
	return s
}

func functions(files *asset.Files) template.FuncMap {
	return template.FuncMap{
		"asset":    files.URL,
		"colour":   colourOf,
		"at":       momentOf,
		"span":     func(seconds float64) string { return human.Span(time.Duration(seconds * float64(time.Second))) },
		"since":    func(now time.Time, t time.Time) string { return human.Span(now.Sub(t)) },
		"word":     func(prefix string, e interface{ String() string }) string { return human.Word(e, prefix) },
		"oneline":  func(n int, text string) string { return human.OneLine(text, n) },
		"redacted": telemetry.Redacted,
		"bytes":    bytesOf,
		"path":     url.PathEscape,
		"list":     func(all ...any) []any { return all },
		"release":  releaseName,
		"add":      func(a, b int) int { return a + b },
		"fixed":    func(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) },
	}
}

// shade is a colour as it is shown: never by colour alone.
type shade struct {
	Class, Word, Reason string
	Unconfirmed         bool
	Since               *timestamppb.Timestamp
}

func colourOf(c *typev1.ColourStatus) shade {
	word := why.Colour(c.GetColour())
	return shade{Class: strings.ToLower(word), Word: word, Reason: c.GetReason(), Unconfirmed: c.GetUnconfirmed(), Since: c.GetSince()}
}

// moment is a time as it is shown: how long ago or ahead, and exactly.
type moment struct{ Words, Exact, Machine string }

func momentOf(now time.Time, t *timestamppb.Timestamp) moment {
	if t == nil {
		return moment{Words: "never"}
	}
	at := t.AsTime()
	m := moment{Exact: at.UTC().Format("2006-01-02 15:04:05.000 UTC"), Machine: at.UTC().Format(time.RFC3339Nano)}
	switch d := now.Sub(at); {
	case d >= time.Second:
		m.Words = human.Span(d) + " ago"
	case d > -time.Second:
		m.Words = "now"
	default:
		m.Words = "in " + human.Span(-d)
	}
	return m
}

// bytesOf writes an amount of bytes with three digits at most.
func bytesOf(n uint64) string {
	if n == 0 {
		return "–"
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	value, unit := float64(n), 0
	for value >= 1000 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	return strconv.FormatFloat(value, 'g', 3, 64) + " " + units[unit]
}

// releaseName is the last two parts of a release's URL: what tells one from another in a table.
func releaseName(address string) string {
	address = telemetry.Redacted(address)
	parts := strings.Split(strings.TrimRight(address, "/"), "/")
	return strings.Join(parts[max(0, len(parts)-2):], "/")
}

// pages cuts a list.
type pages struct {
	Number, Count, Total, First, Last int
	// Previous and Next are URLs; empty = there is none.
	Previous, Next string
}

// cut is the part of a list that ?page= asks for.
func cut[T any](all []T, r *http.Request, size int) ([]T, pages) {
	p := pages{Number: 1, Total: len(all), Count: max(1, (len(all)+size-1)/size)}
	if n, err := strconv.Atoi(r.URL.Query().Get("page")); err == nil {
		p.Number = min(max(1, n), p.Count)
	}
	from, to := (p.Number-1)*size, min(p.Number*size, len(all))
	p.First, p.Last = min(from+1, to), to
	address := func(n int) string {
		query := r.URL.Query()
		query.Del("live")
		query.Set("page", strconv.Itoa(n))
		return r.URL.EscapedPath() + "?" + query.Encode()
	}
	if p.Number > 1 {
		p.Previous = address(p.Number - 1)
	}
	if p.Number < p.Count {
		p.Next = address(p.Number + 1)
	}
	return all[from:to], p
}
