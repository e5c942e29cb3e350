// Package storagetest is the suite that every [storage.Store] has to pass:
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) (storage.Store, storagetest.Reopen) {
//			return mystore.New(), nil
//		})
//	}
package storagetest
