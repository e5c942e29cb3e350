// Command simwebd serves the test web from a process of its own, so that a measured crawler shares nothing with it.
//
//	simwebd -hosts 100 -pages 500 -links 50 -bytes 30000 -gzip -control 127.0.0.1:9090 > seeds.txt
//
// It prints the seeds, one a line, after a comment that names the control address, and ends with the comment "# ready":
// a seed list as it stands. Counters are read and reset at the control address; see simweb.Web.Control. It serves until
// it is interrupted or terminated.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/orbweaver/orbweaver/internal/simweb"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "simwebd:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var cfg simweb.Config
	flags := flag.NewFlagSet("simwebd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&cfg.Hosts, "hosts", 10, "`number` of hosts")
	flags.IntVar(&cfg.Pages, "pages", 100, "pages of each host")
	flags.IntVar(&cfg.Links, "links", 20, "links of each page")
	flags.IntVar(&cfg.Bytes, "bytes", 8192, "rough size of a page")
	flags.BoolVar(&cfg.Gzip, "gzip", false, "compress for clients that accept it")
	flags.Float64Var(&cfg.CrossLinks, "cross", 0, "`share` of the links that leave for another host")
	flags.DurationVar(&cfg.Latency, "latency", 0, "time between a request and its answer")
	flags.IntVar(&cfg.ConnRequests, "conn-requests", 0, "requests answered on one connection; 0: any number")
	flags.Float64Var(&cfg.ErrorRate, "errors", 0, "`share` of the pages that fail the first time")
	flags.Float64Var(&cfg.BrokenRate, "broken", 0, "`share` of the pages with a link to a URL that is broken for ever")
	flags.Float64Var(&cfg.RedirectRate, "redirects", 0, "`share` of the pages reached through a redirect only")
	flags.BoolVar(&cfg.NoRobots, "no-robots", false, "serve no robots.txt")
	flags.DurationVar(&cfg.CrawlDelay, "crawl-delay", 0, "Crawl-delay in robots.txt")
	flags.BoolVar(&cfg.Sitemaps, "sitemaps", false, "name sitemaps in robots.txt")
	flags.BoolVar(&cfg.TLS, "tls", false, "serve https; see -ca")
	flags.BoolVar(&cfg.Zoo, "zoo", false, "serve misbehaving paths below /zoo/")
	flags.Uint64Var(&cfg.Seed, "seed", 0, "of the generator")
	flags.IntVar(&cfg.Port, "port", 0, "of all hosts; 0: a free one")
	seeds := flags.String("seeds", "", "`file` to write the seeds to instead of standard output")
	ca := flags.String("ca", "", "`file` to write the certificate to that clients must trust, with -tls")
	control := flags.String("control", "127.0.0.1:0", "`address` for counters and reset")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *ca != "" && !cfg.TLS {
		return errors.New("-ca needs -tls")
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	web, err := simweb.Start(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, web.Close()) }()
	l, err := listenLoopback(*control)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: web.Control(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		err = errors.Join(err, server.Close())
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}()
	if *ca != "" {
		if err := os.WriteFile(*ca, web.CA(), 0o644); err != nil {
			return err
		}
	}
	if err := writeSeeds(*seeds, stdout, l.Addr(), web); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// listenLoopback refuses to show counters to other machines.
func listenLoopback(address string) (net.Listener, error) {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	if !addr.IP.IsLoopback() {
		return nil, fmt.Errorf("control address %s is not on loopback", address)
	}
	return net.ListenTCP("tcp", addr)
}

// writeSeeds writes to the named file, or to stdout if there is no name.
func writeSeeds(name string, stdout io.Writer, control net.Addr, web *simweb.Web) (err error) {
	if name != "" {
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		return errors.Join(writeSeeds("", f, control, web), f.Close())
	}
	b := bufio.NewWriter(stdout)
	fmt.Fprintf(b, "# control http://%s\n", control)
	for _, u := range web.Seeds() {
		fmt.Fprintln(b, u)
	}
	fmt.Fprintln(b, "# ready")
	return b.Flush()
}
