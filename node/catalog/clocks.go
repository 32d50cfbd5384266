package catalog

import (
	"fmt"
	"io/fs"
	"maps"
	"sync"

	"embed"

	"github.com/goccy/go-yaml"

	"github.com/fengqiao/fengqiao/node/domain"
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

// ProfilesOf gives the profiles that the clocks of a kind know: the
// release's, and its own in their place.
func (c *Catalogue) ProfilesOf(def *domain.Definition) (map[string]clock.Profile, error) {
	out, err := c.Profiles()
	if err != nil {
		return nil, err
	}
	for _, p := range def.Profiles {
		if out[p.ID], err = profileOf(p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// profileOf reads the words of a profile.
func profileOf(p domain.Profile) (clock.Profile, error) {
	out := clock.Profile{ID: p.ID, Title: clock.Label{ZH: p.Title.ZH, EN: p.Title.EN}, Source: p.Source, Rules: map[string]clock.Rule{}}
	for urgency, d := range p.Rules {
		var r clock.Rule
		for _, read := range []error{r.Limit.UnmarshalText([]byte(d.Limit)), r.Warn.UnmarshalText([]byte(d.Warn)),
			r.Yellow.UnmarshalText([]byte(d.Yellow)), r.Red.UnmarshalText([]byte(d.Red))} {
			if read != nil {
				return out, read
			}
		}
		out.Rules[urgency] = r
	}
	return out, out.Validate()
}
