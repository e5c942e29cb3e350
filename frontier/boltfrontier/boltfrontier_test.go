package boltfrontier_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/orbweaver/orbweaver/frontier/boltfrontier"
	"github.com/orbweaver/orbweaver/frontier/frontiertest"
)

func TestBackend(t *testing.T) {
	frontiertest.Run(t, openDisk)
}

// TestThroughput takes more hosts from the environment:
//
//	BOLTFRONTIER_HOSTS=20000 go test -run Throughput -v ./frontier/boltfrontier
func TestThroughput(t *testing.T) {
	hosts := 1000
	if text := os.Getenv("BOLTFRONTIER_HOSTS"); text != "" {
		var err error
		if hosts, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	frontiertest.Throughput(t, hosts, openDisk)
}

func openDisk(t testing.TB) *frontiertest.Opened {
	d := &disk{t: t, dir: t.TempDir()}
	return d.open()
}

// disk is the files of a test.
type disk struct {
	t   testing.TB
	dir string
	n   int // databases so far
	db  *bbolt.DB
}

func (d *disk) path() string { return filepath.Join(d.dir, strconv.Itoa(d.n)) }

// open opens the database of the current number.
func (d *disk) open() *frontiertest.Opened {
	d.t.Helper()
	db, err := bbolt.Open(d.path(), 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		d.t.Fatal(err)
	}
	d.db = db
	d.t.Cleanup(func() { db.Close() })
	b, err := boltfrontier.Open(db, boltfrontier.Config{})
	if err != nil {
		d.t.Fatal(err)
	}
	return &frontiertest.Opened{Backend: b, Restart: d.restart, Crash: d.crash}
}

func (d *disk) restart() *frontiertest.Opened {
	d.t.Helper()
	if err := d.db.Close(); err != nil {
		d.t.Fatal(err)
	}
	return d.open()
}

// crash opens a copy of the file as it is now: what a killed process leaves behind.
func (d *disk) crash() *frontiertest.Opened {
	d.t.Helper()
	content, err := os.ReadFile(d.path())
	if err != nil {
		d.t.Fatal(err)
	}
	d.n++
	if err := os.WriteFile(d.path(), content, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return d.open()
}
