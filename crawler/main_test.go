package crawler_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails when a crawl left a goroutine behind.
func TestMain(m *testing.M) {
	victim()
	goleak.VerifyTestMain(m)
}
