package recipe

import "sort"

// Registry finds recipes by the names profiles use.
type Registry struct {
	byName map[string]*Recipe
	all    []*Recipe
}

// Recipes builds the registry of all built-in recipes.
func Recipes() *Registry {
	all := []*Recipe{
		build(),
		certificateAuthority(),
		certificateRequest(),
		checkParameter(),
		checkPort(),
		checkURL(),
		collectiveTemplate(),
		command(),
		copyFileList(),
		cronDaemon(),
		cronEntry(),
		download(),
		downloadUnpacked(),
		freePort(),
		generatePassword(),
		gitClone(),
		jinjaTemplate(),
		logrotate(),
		logrotateEntry(),
		makeDirectory(),
		mysqlUpdate(),
		plainTemplate(),
		promisePlugin(),
		publish(),
		publishSerialised(),
		publishEarly(),
		randomInteger(),
		randomMAC(),
		randomTime(),
		readKnowledge(),
		redisServer(),
		request(false, false),
		request(true, false),
		request(false, true),
		request(true, true),
		shellWrapper(),
		simpleHTTPServer(),
		simpleLogger(),
		slapConfiguration(false),
		slapConfiguration(true),
		slapConfigurationSchema(),
		switchSoftwareType(),
		symbolicLink(),
		symbolicLinks(),
		urlParse(),
		userInfo(),
		uuid(),
		wrapper(),
		writeKnowledge(),
	}
	r := &Registry{byName: map[string]*Recipe{}, all: all}
	for _, recipe := range all {
		r.byName[recipe.Name] = recipe
		for _, alias := range recipe.Aliases {
			r.byName[alias] = recipe
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return r
}

// Find returns the recipe of a name.
func (r *Registry) Find(name string) (*Recipe, bool) {
	recipe, ok := r.byName[name]
	return recipe, ok
}

// All lists the recipes by name.
func (r *Registry) All() []*Recipe { return r.all }

// Names lists every name, aliases included, in alphabetical order.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.byName))
	for name := range r.byName {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
