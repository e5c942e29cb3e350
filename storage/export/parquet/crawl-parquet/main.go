// Crawl-parquet exports the records of a crawl's job as Apache Parquet.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/storage/export"
	"github.com/orbweaver/orbweaver/storage/export/parquet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2) // the flags have told
	default:
		fmt.Fprintln(os.Stderr, "crawl-parquet:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("wrong usage")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("crawl-parquet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: crawl-parquet [-o FILE] [-where EXPR] JOB")
		flags.PrintDefaults()
	}
	output := flags.String("o", "", "write to this new `FILE` instead of standard output")
	where := flags.String("where", "", "only records for which `EXPR` holds, as with crawl export --where")
	if err := flags.Parse(args); err != nil {
		return errors.Join(errUsage, err)
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return errUsage
	}
	var opts parquet.Options
	if *where != "" {
		if opts.Where, err = export.ParseFilter(*where); err != nil {
			return err
		}
	}
	job, err := crawler.OpenJob(flags.Arg(0))
	if err != nil {
		return err
	}
	defer job.Close()
	if *output == "" {
		buffered := bufio.NewWriter(stdout)
		_, err := parquet.Records(ctx, buffered, job.Store(), opts)
		return errors.Join(err, buffered.Flush())
	}
	file, err := os.OpenFile(*output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = parquet.Records(ctx, file, job.Store(), opts)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(*output))
	}
	return nil
}
