package catalog

import "testing"

// TestEveryClockHasItsProfile: a kind that names a profile which the
// release does not bring would run without a deadline.
func TestEveryClockHasItsProfile(t *testing.T) {
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	profiles, err := c.Profiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.Kinds() {
		for _, clock := range k.Definition.Clocks {
			p, ok := profiles[clock.Profile]
			if _, rule := p.Rule(""); !ok || !rule {
				t.Errorf("%s: clock %s: no profile %s with a default row", k.Definition.ID, clock.ID, clock.Profile)
			}
		}
	}
}
