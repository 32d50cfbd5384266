package catalog

import (
	"fmt"

	"github.com/fengqiao/fengqiao/node/domain"
)

// PaperTemplate is a printable form as data. node/service fills it.
type PaperTemplate struct {
	ID     string       `yaml:"id" json:"id"`
	Title  domain.Text  `yaml:"title" json:"title"`
	Letter bool         `yaml:"letter" json:"-"` // leaves the house while the matter runs: never a draft
	Cover  bool         `yaml:"cover" json:"-"`  // the title stands in the middle of the page
	Blocks []PaperBlock `yaml:"blocks" json:"-"`
}

// PaperBlock is one part of a form. Exactly one of the contents is used.
// Words in braces are replaced, see papers.yaml.
type PaperBlock struct {
	Text      string     `yaml:"text"`       // indented paragraph
	Plain     string     `yaml:"plain"`      // paragraph without indent
	Right     string     `yaml:"right"`      // at the right margin
	Heading   string     `yaml:"heading"`    //
	Value     string     `yaml:"value"`      // a long text under its title, or under Heading
	Each      string     `yaml:"each"`       // a paragraph for every item of a group,
	Item      string     `yaml:"item"`       // parted by ， of which empty parts fall away
	Table     [][]string `yaml:"table"`      // rows of one or two labelled values
	Group     string     `yaml:"group"`      // items of a group, with
	Columns   []string   `yaml:"columns"`    // these fields
	Note      string     `yaml:"note"`       // the words written with this step
	Sign      []string   `yaml:"sign"`       // places to sign, never parted by a page
	SignGroup string     `yaml:"sign_group"` // a place to sign for every item of a group,
	Also      []string   `yaml:"also"`       // and for these
	Seal      string     `yaml:"seal"`       // who stamps,
	On        string     `yaml:"on"`         // on which day; empty: today
	Steps     bool       `yaml:"steps"`      // the timeline
	Clocks    bool       `yaml:"clocks"`     // what is due when
	Cards     bool       `yaml:"cards"`      // yellow and red cards that stand
	Contents  bool       `yaml:"contents"`   // documents of the dossier
	Copies    bool       `yaml:"copies"`     // who was told, and who has read it
}

// kinds counts the contents of a block.
func (b *PaperBlock) kinds() int {
	n := 0
	for _, used := range []bool{b.Text != "", b.Plain != "", b.Right != "", b.Heading != "" && b.Value == "", b.Value != "", b.Each != "", len(b.Table) > 0, b.Group != "", b.Note != "",
		len(b.Sign) > 0, b.SignGroup != "", b.Seal != "", b.Steps, b.Clocks, b.Cards, b.Contents, b.Copies} {
		if used {
			n++
		}
	}
	return n
}

func checkPapers(papers []PaperTemplate) error {
	seen := map[string]bool{}
	for _, p := range papers {
		if seen[p.ID] || len(p.Blocks) == 0 {
			return fmt.Errorf("catalog: paper %s stands twice or is empty", p.ID)
		}
		seen[p.ID] = true
		for i := range p.Blocks {
			if n := p.Blocks[i].kinds(); n != 1 {
				return fmt.Errorf("catalog: paper %s, block %d: %d contents, want one", p.ID, i, n)
			}
		}
	}
	return nil
}

// Paper finds a printable form.
func (c *Catalogue) Paper(id string) (*PaperTemplate, bool) {
	for i := range c.papers {
		if c.papers[i].ID == id {
			return &c.papers[i], true
		}
	}
	return nil, false
}
