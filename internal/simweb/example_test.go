package simweb_test

import (
	"fmt"
	"net/http"

	"github.com/orbweaver/orbweaver/internal/simweb"
)

func Example() {
	web, err := simweb.Start(simweb.Config{Hosts: 3, Pages: 50})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer web.Close()

	// A poor crawler: it fetches the index pages and stops.
	for _, seed := range web.Seeds() {
		resp, err := http.Get(seed)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()

	got, want := web.Counts(), web.Want()
	fmt.Println(got.Distinct, "of", want.Distinct, "pages")
	fmt.Println(got.Robots, "of", want.Robots, "robots.txt")
	// Output:
	// 3 of 150 pages
	// 0 of 3 robots.txt
}
