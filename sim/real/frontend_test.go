package real

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

// asked is what a URL answers: its status, and the name of the site that answered.
func asked(t *testing.T, url string) (status int, name string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return 0, "" // its server may be starting
	}
	defer response.Body.Close()
	var answer struct{ Name string }
	_ = json.NewDecoder(response.Body).Decode(&answer) // only a site answers with JSON
	return response.StatusCode, answer.Name
}

// TestASiteIsServedByAFrontendThatItShares deploys examples/frontend: a frontend, and a site whose profile requests a shared instance of it. What the site wants reaches the frontend, the URL that the
// frontend publishes reaches the site's profile, also when svc-master is killed on the way, and a site that is destroyed is served no more.
func TestASiteIsServedByAFrontendThatItShares(t *testing.T) {
	s := begin(t)
	ctx := t.Context()
	release, err := filepath.Abs(filepath.Join("..", "..", "examples", "frontend"))
	if err != nil {
		t.Fatal(err)
	}
	software := "file://" + release
	front := s.request(software, "front")
	host, base := front.GetInstances()[0].GetInstanceId(), front.GetInstances()[0].GetConnectionParameters()["url"]
	if status, _ := asked(t, base+"shop/"); status != http.StatusNotFound {
		t.Fatalf("%sshop/ answers %d before anybody requested it", base, status)
	}

	request := &masterv1.RequestInstanceRequest{Title: "site", SoftwareRelease: software, SoftwareType: "site", Parameters: map[string]string{"path": "shop"}}
	response, err := s.instances.RequestInstance(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	treeID := response.GetInstance().GetTreeId()
	servedAt := func(path string) {
		t.Helper()
		var tree *masterv1.Tree
		await(t, "the site is Green, and says that it is served at "+path, func() bool {
			response, err := s.trees.GetTree(ctx, &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Id{Id: treeID}})
			if err != nil || len(response.GetTree().GetInstances()) != 2 {
				return false
			}
			tree = response.GetTree()
			return tree.GetColour().GetColour() == typev1.Colour_COLOUR_GREEN && tree.GetInstances()[0].GetConnectionParameters()["url"] == base+path+"/"
		})
		shared := tree.GetInstances()[1]
		if shared.GetHostId() != host || shared.GetStatus().GetColour().GetColour() != typev1.Colour_COLOUR_GREEN {
			t.Errorf("the shared instance is %v, want it Green and hosted by %s", shared, host)
		}
		await(t, "the frontend leads to the site", func() bool {
			status, name := asked(t, base+path+"/")
			return status == http.StatusOK && name == path
		})
	}
	servedAt("shop")

	request.Parameters["path"] = "store"
	if _, err := s.instances.RequestInstance(ctx, request); err != nil {
		t.Fatal(err)
	}
	s.master.kill9()
	s.master.start()
	servedAt("store")
	if status, _ := asked(t, base+"shop/"); status != http.StatusNotFound {
		t.Errorf("the frontend answers %d at the path of before", status)
	}

	request.Parameters["path"] = "No path"
	if _, err := s.instances.RequestInstance(ctx, request); err == nil || !strings.Contains(err.Error(), "path") {
		t.Errorf("what the release's schema refuses is answered with %v", err)
	}
	if _, err := s.instances.SetInstanceState(ctx, &masterv1.SetInstanceStateRequest{InstanceId: response.GetInstance().GetInstanceId(), State: typev1.RequestedState_REQUESTED_STATE_DESTROYED}); err != nil {
		t.Fatal(err)
	}
	await(t, "the frontend serves it no more", func() bool {
		status, _ := asked(t, base+"store/")
		return status == http.StatusNotFound
	})
	s.green(front.GetTreeId())
}
