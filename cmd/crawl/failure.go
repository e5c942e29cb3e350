package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/orbweaver/orbweaver/crawler"
	"github.com/orbweaver/orbweaver/storage"
)

// failure is an error that says what status the command ends with and what the
// user can do.
type failure struct {
	status int
	err    error  // nil: what is wrong has been told already
	wayOut string // "": none
}

func (f *failure) Error() string {
	switch {
	case f.err == nil:
		return ""
	case f.wayOut == "":
		return f.err.Error()
	}
	return f.err.Error() + "; " + f.wayOut
}

func (f *failure) Unwrap() error { return f.err }

// diagnose returns the line that tells the user of err, "" if there is nothing to
// tell, and the exit status.
func diagnose(err error) (line string, status int) {
	var (
		told   *failure
		job    *crawler.JobError
		config *crawler.ConfigError
	)
	switch {
	case errors.As(err, &told):
		return oneLine(told.Error()), told.status
	case errors.Is(err, syscall.EPIPE):
		return "", exitDone // who read our output has enough
	case errors.As(err, &config):
		flag := "--" + kebab(config.Field)
		if strings.Contains(flag, "[") { // a section of a file, such as Sites[0]
			flag = strings.TrimPrefix(flag, "--")
		}
		return oneLine(flag + ": " + config.Reason), exitUsage
	case errors.As(err, &job):
		return oneLine(diagnoseJob(job)), exitFailed
	case errors.Is(err, crawler.ErrProxies):
		return strings.TrimPrefix(oneLine(err.Error()), "crawler: ") + "; name others with --proxy, and nothing is lost", exitFailed
	case errors.Is(err, storage.ErrCorrupt):
		return oneLine(err.Error() + "; crawl check DIR tells how much of the job is damaged"), exitFailed
	case isNoSpace(err):
		return oneLine(err.Error() + "; make room and try again"), exitFailed
	case errors.Is(err, context.Canceled):
		return "interrupted", exitInterrupted
	}
	return oneLine(err.Error()), exitFailed
}

// diagnoseJob tells what is wrong with a job's directory and the way out.
func diagnoseJob(e *crawler.JobError) string {
	dir := quote(e.Dir)
	reason := jobReason(e)
	switch {
	case errors.Is(e, crawler.ErrUnknownHost):
		return dir + " " + reason
	case errors.Is(e, crawler.ErrNoRoom):
		return dir + " " + reason + "; make room and try again"
	case errors.As(e, new(*net.OpError)) && errors.Is(e, fs.ErrPermission):
		return dir + ": " + reason + "; only the user who crawls it can control it"
	case errors.Is(e, crawler.ErrLocked):
		if locked, ok := errors.AsType[*crawler.LockedError](e); ok && locked.PID == 0 {
			return dir + " " + reason + "; try again when that has ended"
		}
		return dir + " " + reason + "; crawl status " + dir + " shows how far it is, crawl stop " + dir + " ends it"
	case errors.Is(e, crawler.ErrNotJob):
		return dir + " " + reason + "; crawl run --job DIR URL starts one, in a directory that is empty or does not exist"
	case errors.Is(e, crawler.ErrFormat):
		return dir + " " + reason + "; use the version of crawl that wrote it or a newer one"
	case errors.Is(e, crawler.ErrURLRules):
		return dir + " " + reason + "; leave --url-rules and --drop-param as they were, or start anew in another directory with --job"
	case errors.Is(e, crawler.ErrCorrupt):
		return dir + ": " + reason + "; restore it from a copy, or start anew in another directory with --job"
	case isNoSpace(e) && e.Op == "compact":
		return dir + ": " + reason + "; it is as it was; make room on its disk and try again"
	case isNoSpace(e) && e.Op == "create":
		return dir + ": " + reason + "; make room and try again"
	case isNoSpace(e):
		return dir + ": " + reason + "; make room, then crawl run --job " + dir + " goes on where it stopped"
	case errors.Is(e, fs.ErrPermission), errors.Is(e, syscall.EROFS), errors.Is(e, syscall.ENOTDIR):
		return dir + ": " + reason + "; choose a directory that can be written with --job"
	}
	wayOut := ""
	if e.Op == "compact" {
		wayOut = "; it is as it was; crawl check " + dir + " tells whether it is damaged"
	}
	return dir + ": cannot " + e.Op + " the job: " + reason + wayOut
}

// jobReason is the error below e without what diagnoseJob says itself.
func jobReason(e *crawler.JobError) string {
	var path *fs.PathError
	if errors.As(e.Err, &path) {
		return path.Error()
	}
	return e.Err.Error()
}

// isNoSpace also looks at the text: bbolt does not wrap all errors of the file
// system.
func isNoSpace(err error) bool {
	return slices.ContainsFunc(noSpace, func(e error) bool {
		return errors.Is(err, e) || strings.Contains(err.Error(), e.Error())
	})
}

// oneLine joins the lines of a joined error.
func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ") }

// kebab writes a field's name as the flag's: MaxPages, max-pages.
func kebab(field string) string {
	var b strings.Builder
	small := false // the letter before is
	for _, r := range field {
		if unicode.IsUpper(r) && small {
			b.WriteByte('-')
		}
		small = !unicode.IsUpper(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
