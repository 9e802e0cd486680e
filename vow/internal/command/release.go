package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vow-os/vow/examples"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
)

// sampleTitle is the title of the sample's root.
const sampleTitle = "hello"

// requestSample supplies the sample release to a computer, requests it and waits until it is Green. It may be called again and again: what somebody changed of it since
// (parameters, a release of their own) stays as it is.
func requestSample(ctx context.Context, dir, computer string, f *client.Fleet) (*masterv1.Tree, error) {
	url, err := writeSample(filepath.Join(dir, "releases"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, greenTimeout)
	defer cancel()
	if err := awaitComputer(ctx, f, computer); err != nil {
		return nil, err
	}
	if _, err := f.Software.SupplySoftware(ctx, &masterv1.SupplySoftwareRequest{SoftwareRelease: url, Computer: computer}); err != nil {
		return nil, fmt.Errorf("cannot supply the sample: %w", err)
	}
	request := &masterv1.RequestInstanceRequest{
		Title: sampleTitle, SoftwareRelease: url, Computer: computer, State: typev1.RequestedState_REQUESTED_STATE_STARTED,
	}
	root, err := rootOf(ctx, f, sampleTitle)
	if err != nil {
		return nil, err
	}
	ours := strings.HasPrefix(root.GetSoftwareRelease(), "file://"+filepath.Join(dir, "releases")+"/")
	switch {
	case root == nil:
	case !ours: // somebody's own
		return f.Vow.Tree(ctx, root.GetTreeId())
	case root.GetSoftwareRelease() == url && root.GetState() == request.GetState():
		return awaitGreen(ctx, f, root.GetTreeId(), greenTimeout)
	default: // it was stopped, or is the sample of another vow, and this one's is the upgrade
		request.SoftwareType, request.Parameters = root.GetSoftwareType(), root.GetParameters()
	}
	response, err := requestInstance(ctx, f, request)
	if err != nil {
		return nil, err
	}
	return awaitGreen(ctx, f, response.GetInstance().GetTreeId(), greenTimeout)
}

// awaitComputer waits until the node has registered its computer.
func awaitComputer(ctx context.Context, f *client.Fleet, computer string) error {
	return poll(ctx, "the node has not registered "+computer, func() (bool, error) {
		_, err := f.Computers.GetComputer(ctx, &masterv1.GetComputerRequest{Computer: computer})
		if err != nil && !rpc.IsNotFound(err) && !rpc.IsUnavailable(err) {
			return false, err
		}
		return err == nil, nil
	})
}

// writeSample writes the sample release below dir and returns its URL. The name holds a hash of the content: another sample is another release, and the tree is upgraded to it.
func writeSample(dir string) (string, error) {
	release, err := fs.Sub(examples.Hello, "hello")
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	err = fs.WalkDir(release, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(release, path)
		fmt.Fprintf(sum, "%s %d\n", path, len(data))
		sum.Write(data)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("cannot read the sample: %w", err)
	}
	path := filepath.Join(dir, "hello-"+hex.EncodeToString(sum.Sum(nil))[:8])
	if _, err := os.Stat(path); err == nil {
		return "file://" + path, nil
	}
	half := path + ".half"
	if err := errors.Join(os.RemoveAll(half), os.MkdirAll(dir, 0o755)); err != nil {
		return "", fmt.Errorf("cannot write the sample: %w", err)
	}
	if err := os.CopyFS(half, release); err != nil {
		return "", fmt.Errorf("cannot write the sample: %w", err)
	}
	if err := os.Rename(half, path); err != nil {
		return "", fmt.Errorf("cannot write the sample: %w", err)
	}
	return "file://" + path, nil
}
