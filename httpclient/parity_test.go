package httpclient

import (
	"testing"
)

// parityRow is a row of the feature list of aiohttp's client that this package
// set out to offer: what shows it, or why Go has no use for it.
type parityRow struct {
	name   string // section/row
	prove  func(t *testing.T)
	reason string // instead of prove
}

// TestParity shows each row at work against a server.
func TestParity(t *testing.T) {
	rows := [][]parityRow{sessionRows, requestRows, connectorRows, responseRows, streamRows, otherRows, webSocketRows, errorRows}
	proved, idle := 0, 0
	seen := map[string]bool{}
	for _, list := range rows {
		for _, row := range list {
			if seen[row.name] {
				t.Errorf("row %s twice", row.name)
			}
			seen[row.name] = true
			if row.prove == nil {
				if row.reason == "" {
					t.Errorf("row %s is neither proved nor excused", row.name)
				}
				idle++
				t.Logf("%s: no use in Go: %s", row.name, row.reason)
				continue
			}
			if t.Run(row.name, row.prove) {
				proved++
			}
		}
	}
	t.Logf("%d rows proved, %d without use in Go", proved, idle)
}
