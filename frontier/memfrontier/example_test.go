package memfrontier_test

import (
	"context"
	"fmt"

	"github.com/orbweaver/orbweaver/frontier"
	"github.com/orbweaver/orbweaver/frontier/memfrontier"
)

func ExampleNew() {
	f, err := frontier.New(memfrontier.New(), frontier.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	seeds := []frontier.Request{
		{URL: "https://example.org/", Host: "example.org"},
		{URL: "https://example.org/", Host: "example.org"},
	}
	added, err := f.Put(context.Background(), seeds)
	fmt.Println(added, err)
	// Output: 1 <nil>
}
