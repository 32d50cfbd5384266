package catalog

import (
	"fmt"
	"io/fs"
	"maps"
	"sync"

	"embed"

	"github.com/goccy/go-yaml"

	"github.com/fengqiao/fengqiao/node/domain/clock"
)

//go:embed clocks/*.yaml
var clockFiles embed.FS

// profiles reads the deadlines that come with the release.
var profiles = sync.OnceValues(func() (map[string]clock.Profile, error) {
	names, err := fs.Glob(clockFiles, "clocks/*.yaml")
	if err != nil {
		return nil, err
	}
	out := map[string]clock.Profile{}
	for _, name := range names {
		data, err := clockFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var file struct {
			Profiles []clock.Profile `yaml:"profiles"`
		}
		if err := yaml.UnmarshalWithOptions(data, &file, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("catalog: %s: %w", name, err)
		}
		for _, p := range file.Profiles {
			if _, twice := out[p.ID]; twice {
				return nil, fmt.Errorf("catalog: %s: profile %s stands twice", name, p.ID)
			}
			if err := p.Validate(); err != nil {
				return nil, fmt.Errorf("catalog: %s: %w", name, err)
			}
			out[p.ID] = p
		}
	}
	return out, nil
})

// Profiles gives the clock profiles by id.
func (c *Catalogue) Profiles() (map[string]clock.Profile, error) {
	p, err := profiles()
	return maps.Clone(p), err
}
