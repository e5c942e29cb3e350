package main

import (
	"errors"

	"github.com/orbweaver/orbweaver/crawler"
)

// goesOn is the command line with which the job in dir, which is at rest, goes on:
// with a higher limit if it has reached one that it keeps.
func goesOn(dir string) string {
	if e, err := reached(dir); err == nil { // a job that cannot be read is told of by the run
		if command := e.goOn(); command != "" {
			return command
		}
	}
	return "crawl run --job " + quote(dir)
}

// reached is how another run of the job in dir would end at once, by a limit that
// the job keeps. Ended is "" if none is reached.
func reached(dir string) (ending, error) {
	e := ending{Summary: &crawler.Summary{}, job: dir, settings: &settings{}}
	job, err := crawler.OpenJob(dir)
	if err != nil {
		return e, err
	}
	defer job.Close()
	if err := e.settings.readLimits(job); err != nil {
		return e, err
	}
	if e.Stats, err = job.Stats(); err != nil {
		return e, err
	}
	rounds, err := job.Rounds()
	if err != nil {
		return e, err
	}
	ofRound := count(e.Fetched)
	if len(rounds) > 0 {
		ofRound -= count(rounds[len(rounds)-1].Fetched)
	}
	switch s := e.settings; {
	case s.MaxBytes > 0 && e.WireBytes >= int64(s.MaxBytes):
		e.Ended = crawler.MaxBytes
	case s.MaxPages > 0 && ofRound >= s.MaxPages:
		e.Ended = crawler.MaxPages
		s.MaxPages = ofRound // what a higher limit has to be more than
	}
	return e, nil
}

// readLimits reads those settings that the job keeps which can end every run of it.
func (s *settings) readLimits(job *crawler.Job) error {
	text, err := job.Settings()
	if err != nil {
		return err
	}
	kept, err := parseKept(text)
	if err != nil {
		return err
	}
	return errors.Join(
		s.MaxPages.UnmarshalText([]byte(layers{kept}.first("max-pages", "0"))),
		s.MaxBytes.UnmarshalText([]byte(layers{kept}.first("max-bytes", "0"))))
}
