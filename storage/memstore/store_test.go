package memstore_test

import (
	"testing"

	"github.com/orbweaver/orbweaver/storage"
	"github.com/orbweaver/orbweaver/storage/memstore"
	"github.com/orbweaver/orbweaver/storage/storagetest"
)

func TestStore(t *testing.T) {
	storagetest.Run(t, func(*testing.T) (storage.Store, storagetest.Reopen) {
		return memstore.New(), nil
	})
}
