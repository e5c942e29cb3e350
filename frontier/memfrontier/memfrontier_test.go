package memfrontier_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/orbweaver/orbweaver/frontier/frontiertest"
	"github.com/orbweaver/orbweaver/frontier/memfrontier"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBackend(t *testing.T) {
	frontiertest.Run(t, func(testing.TB) *frontiertest.Opened { return opened(memfrontier.New()) })
}

func TestShared(t *testing.T) {
	frontiertest.Run(t, func(testing.TB) *frontiertest.Opened { return opened(memfrontier.NewShared(30 * time.Second)) })
}

func TestThroughput(t *testing.T) {
	hosts := 20_000
	if testing.Short() {
		hosts = 2000
	}
	frontiertest.Throughput(t, hosts, func(testing.TB) *frontiertest.Opened { return opened(memfrontier.New()) })
}

// opened is b, which keeps what it has for as long as somebody holds on to it.
func opened(b *memfrontier.Backend) *frontiertest.Opened {
	again := func() *frontiertest.Opened { return opened(b.Join()) }
	o := &frontiertest.Opened{Backend: b, Restart: again}
	if b.Lifetime() > 0 {
		o.Join = again
	}
	return o
}
