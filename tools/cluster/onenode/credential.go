package onenode

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
const server = "https://" + nodeAddress + ":6443"

// user is who asks the API server, as its own roles know it.
type user struct {
	file, name, group string
}

func users() []user {
	return []user{
		{"admin", "admin", "system:masters"},
		{"controller-manager", "system:kube-controller-manager", ""},
		{"scheduler", "system:kube-scheduler", ""},
		{"proxy", "system:kube-proxy", ""},
		{"kubelet", "system:node:" + nodeName, "system:nodes"},
	}
}

// credentials writes a kubeconfig for each user, the tokens that the API server knows, and the key of service accounts. It returns the admin's token.
func credentials(dir string) (admin string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", err
	}
	var tokens strings.Builder
	for n, u := range users() {
		token := rand.Text()
		if n == 0 {
			admin = token
		}
		fmt.Fprintf(&tokens, "%s,%s,%d,%q\n", token, u.name, n, u.group)
		config, err := json.Marshal(map[string]any{
			"apiVersion": "v1", "kind": "Config", "current-context": nodeName,
			// The API server makes its certificate, and who signed it, in this folder.
			"clusters": []any{map[string]any{"name": nodeName, "cluster": map[string]any{"server": server, "certificate-authority": filepath.Join(dir, "apiserver.crt")}}},
			"users":    []any{map[string]any{"name": u.file, "user": map[string]any{"token": token}}},
			"contexts": []any{map[string]any{"name": nodeName, "context": map[string]any{"cluster": nodeName, "user": u.file}}},
		})
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, u.file), config, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	return admin, errors.Join(
		os.WriteFile(filepath.Join(dir, "service-account.pem"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(dir, "tokens.csv"), []byte(tokens.String()), 0o600),
	)
}
