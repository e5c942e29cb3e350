package crawler

import (
	"math"

	"github.com/orbweaver/orbweaver/crawler/links"
)

// ScoredLink is a link that Config.Score judges.
type ScoredLink struct {
	URL      string // canonical
	Referrer string // the page it was found on
	Depth    int    // links from a seed
	Kind     links.Kind
	Rel      links.Rel
}

// scoreSteps is into how many steps scores from 0 to 1 are put. Every step in use
// is a queue of its own for the frontier: more of them would make each page
// write to more places.
const scoreSteps = 16

// priority is what a score from -1 to 1 means to the frontier.
func priority(score float64) int8 {
	if math.IsNaN(score) {
		return 0
	}
	return int8(math.Round(max(-1, min(score, 1)) * scoreSteps))
}
