package recipe

import (
	"context"

	"github.com/vow-os/vow/svc-node/profile"
)

// userInfo is slapos.cookbook:userinfo.
func userInfo() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:userinfo",
		Summary: "Tells the user that the partition belongs to.",
		Provides: []Option{
			{Name: "pw-name, pw-uid, pw-gid, pw-dir, pw-shell", Text: "The user's entry; names that the machine does not know are numbers."},
			{Name: "gr-name, gr-gid", Text: "The partition's group."},
		},
		Signature: 1,
		Provide: func(_ context.Context, in *Init) (profile.Provided, error) {
			u := in.User()
			if u.UID == "" {
				return profile.Provided{}, in.Error("recipe", "cannot tell the partition's user: it is not known here")
			}
			options := map[string]profile.Value{}
			for name, text := range map[string]string{
				"pw-name": u.Name, "pw-uid": u.UID, "pw-gid": u.GID, "pw-dir": u.Home, "pw-shell": "/bin/sh", "gr-name": u.Group, "gr-gid": u.GID,
			} {
				options[name] = profile.Text(text)
			}
			return profile.Provided{Options: options}, nil
		},
	}
}
