package crawler

import (
	"errors"
	"iter"

	"github.com/orbweaver/orbweaver/crawler/weburl"
	"github.com/orbweaver/orbweaver/frontier"
)

// editor changes a job that nobody crawls.
type editor struct {
	job     *Job
	front   *frontier.Frontier
	commits *committer
}

// edit opens the job in dir for one change, and closes it again.
func edit(dir string, change func(*editor) error) (err error) {
	if err := findJob(dir); err != nil {
		return &JobError{"open", dir, err}
	}
	j, err := createJob(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	e := &editor{job: j}
	if e.front, err = frontier.New(j.backend, frontier.Config{MaxDelay: robotsMaxDelay}); err != nil {
		return j.wrap("open", err)
	}
	defer func() { err = errors.Join(err, e.front.Close()) }()
	if e.commits, err = newCommitter(j, j.backend, j.store, Events{}.complete()); err != nil {
		return err
	}
	e.commits.front, e.commits.room = e.front, newReserve(-1, nil)
	go e.commits.run()
	defer func() { _ = e.commits.close() }() // why one failed was told by commit
	return change(e)
}

// addSeeds is Crawler.AddSeeds.
func (e *editor) addSeeds(seeds iter.Seq[string]) (added int, err error) {
	var bad badSeeds
	line := 0
	kept, err := e.job.keptRules()
	if err != nil {
		return 0, err
	}
	urls := weburl.Parser{Rules: kept.URLs}
	ch := &change{}
	for text := range seeds {
		line++
		root, err := ch.addSeed(&urls, text)
		if err != nil {
			bad.addOne(&SeedError{line, text, err})
			continue
		}
		ch.roots = append(ch.roots, root)
		added++
	}
	if err := e.commits.commit(ch); err != nil {
		return 0, err
	}
	return added, bad.err()
}

// changeHost is Crawler.ChangeHost.
func (e *editor) changeHost(host string, c HostChange) error {
	key, err := hostKey(host)
	if err != nil {
		return err
	}
	if c, err = e.job.withRobots(key, c); err != nil {
		return err
	}
	return e.commits.commit(hostChange(key, c))
}
