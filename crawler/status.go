package crawler

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const statusEvery = 2 * time.Second

// The states of a Status, besides an Ending.
const (
	StateRunning = "running" // Crawler.Run is under way
	StateOpen    = "open"    // a crawler has the job open, and Run is not under way
	StateAtRest  = "at rest" // nobody has it open
)

// Status is how a job stands. A crawl writes its own into the job's directory,
// every two seconds while it runs and once at its end.
type Status struct {
	PID     int       `json:"pid"` // of the process that has the job open; 0: none, or unknown
	Written time.Time `json:"written"`
	State   string    `json:"state"` // one of the states, or an Ending
	Stats   Stats     `json:"stats"`

	Database int64 `json:"database"` // bytes of the database's file
}

// ReadStatus reads what the crawl in dir last wrote of itself, which needs no
// access to the job's database. The error is a *JobError.
func ReadStatus(dir string) (*Status, error) {
	text, err := os.ReadFile(filepath.Join(dir, statusName))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("has not said anything of itself yet: %w", err)
		}
		return nil, &JobError{"read status of", dir, err}
	}
	var s Status
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, &JobError{"read status of", dir, err}
	}
	return &s, nil
}

// writeStatus replaces the status file. It is a convenience: that it cannot be
// written is logged, and ends nothing.
func (c *Crawler) writeStatus(s Stats, state string) {
	text, err := json.Marshal(c.makeStatus(s, state))
	if err == nil {
		err = replaceFile(filepath.Join(c.job.dir, statusName), text)
	}
	if err != nil {
		c.cfg.Logger.Warn("the status file cannot be written", "error", err)
	}
}

func (c *Crawler) makeStatus(s Stats, state string) *Status {
	status := &Status{PID: os.Getpid(), Written: time.Now(), State: state, Stats: s}
	if info, err := os.Stat(c.job.db.Path()); err == nil {
		status.Database = info.Size()
	}
	return status
}

func replaceFile(path string, text []byte) error {
	tmp := path + ".tmp"
	err := os.WriteFile(tmp, text, 0o644)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp) // a part of it helps nobody
	}
	return err
}
