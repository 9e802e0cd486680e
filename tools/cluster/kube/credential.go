package kube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// server is where the API server is, for everybody in the namespaces.
const server = "https://" + serverAddress + ":6443"

// Context is what kubeconfigs call it.
const Context = "vow"

// user is who asks the API server, as its own roles know it.
type user struct {
	file, name, group string
}

func users(machines []string) []user {
	all := []user{
		{"admin", "admin", "system:masters"},
		{"controller-manager", "system:kube-controller-manager", ""},
		{"scheduler", "system:kube-scheduler", ""},
		{"proxy", "system:kube-proxy", ""},
		{"enforcer", "vow:enforcer", ""}, // system/policy.yaml says what it may
	}
	for _, m := range machines {
		all = append(all, user{m, "system:node:" + m, "system:nodes"})
	}
	return all
}

// credentials writes a kubeconfig for each user, the tokens that the API server knows, and the key of service accounts. It returns the tokens.
func credentials(dir string, machines []string) (tokens map[string]string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	tokens = map[string]string{}
	var known strings.Builder
	for n, u := range users(machines) {
		token := rand.Text()
		tokens[u.file] = token
		fmt.Fprintf(&known, "%s,%s,%d,%q\n", token, u.name, n, u.group)
		config, err := json.Marshal(map[string]any{
			"apiVersion": "v1", "kind": "Config", "current-context": Context,
			// The API server makes its certificate, and who signed it, in this folder.
			"clusters": []any{map[string]any{"name": Context, "cluster": map[string]any{"server": server, "certificate-authority": filepath.Join(dir, "apiserver.crt")}}},
			"users":    []any{map[string]any{"name": u.file, "user": map[string]any{"token": token}}},
			"contexts": []any{map[string]any{"name": Context, "context": map[string]any{"cluster": Context, "user": u.file}}},
		})
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, u.file), config, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	return tokens, errors.Join(
		os.WriteFile(filepath.Join(dir, "service-account.pem"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(dir, "tokens.csv"), []byte(known.String()), 0o600),
	)
}
