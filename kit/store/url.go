package store

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Kind is what is behind the connection.
type Kind string

// The kinds of store.
const (
	Single   Kind = "single"
	Sentinel Kind = "sentinel"
	Cluster  Kind = "cluster"
	Embedded Kind = "embedded"
)

// parseURL reads a URL by hand where net/url refuses lists of hosts. Errors never repeat a password.
func parseURL(raw string) (*redis.UniversalOptions, Kind, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, "", errors.New("want redis://, unix://, redis-sentinel:// or redis-cluster://")
	}
	o := &redis.UniversalOptions{}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, password, _ := strings.Cut(rest[:at], ":")
		var err1, err2 error
		o.Username, err1 = url.PathUnescape(user)
		o.Password, err2 = url.PathUnescape(password)
		if err1 != nil || err2 != nil {
			return nil, "", errors.New("user or password are not well escaped")
		}
		rest = rest[at+1:]
	}
	rest, _, _ = strings.Cut(rest, "?")
	if scheme == "unix" {
		if !strings.HasPrefix(rest, "/") {
			return nil, "", fmt.Errorf("%s has no path: want unix:///path", scheme)
		}
		o.Addrs = []string{rest}
		return o, Single, nil
	}
	scheme, secure := trimSecure(scheme)
	hosts, path, _ := strings.Cut(rest, "/")
	for host := range strings.SplitSeq(hosts, ",") {
		if host == "" {
			return nil, "", errors.New("a host is missing")
		}
		if !strings.Contains(host, ":") {
			host += ":6379"
		}
		o.Addrs = append(o.Addrs, host)
	}
	if secure {
		name, _, _ := strings.Cut(o.Addrs[0], ":")
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}
	}
	var kind Kind
	switch scheme {
	case "redis":
		kind = Single
		if len(o.Addrs) > 1 {
			return nil, "", errors.New("redis:// names one host; want redis-cluster:// or redis-sentinel:// for several")
		}
	case "redis-sentinel":
		kind = Sentinel
		o.MasterName, path, _ = strings.Cut(path, "/")
		if o.MasterName == "" {
			return nil, "", errors.New("the name of the master is missing: want redis-sentinel://host:port,…/master")
		}
		o.SentinelUsername, o.SentinelPassword = "", ""
	case "redis-cluster":
		kind = Cluster
		o.IsClusterMode = true
		if path != "" {
			return nil, "", errors.New("a Cluster has one database: want no path")
		}
	default:
		return nil, "", fmt.Errorf("%s:// is not known", scheme)
	}
	if path != "" {
		db, err := strconv.Atoi(path)
		if err != nil || db < 0 {
			return nil, "", fmt.Errorf("database %q is not a number", path)
		}
		o.DB = db
	}
	return o, kind, nil
}

// trimSecure tells rediss, redis-sentinels and redis-clusters from their plain forms.
func trimSecure(scheme string) (string, bool) {
	switch scheme {
	case "rediss", "redis-sentinels", "redis-clusters":
		return strings.TrimSuffix(scheme, "s"), true
	}
	return scheme, false
}

// harden sets what the design of the store relies on (docs/architecture.md, "Storage").
func harden(o *redis.UniversalOptions, s Settings) *redis.UniversalOptions {
	o.Protocol = 2
	o.DisableIdentity = true
	// A script whose answer was lost has run; whoever calls it decides whether it may run twice.
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.ContextTimeoutEnabled = true
	o.PoolSize = s.PoolSize
	o.Dialer = s.Dialer
	o.DialTimeout = 5 * time.Second
	// The longest blocking read is 5 s; a context without a deadline still ends.
	o.ReadTimeout = 10 * time.Second
	o.WriteTimeout = 5 * time.Second
	// Its default resolves names in the background for ever.
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o
}
