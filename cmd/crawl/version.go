package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCommand is "crawl version".
type versionCommand struct{}

// Run prints the module's version, the commit it was built from, and Go's.
func (versionCommand) Run(con *console) error {
	info, _ := debug.ReadBuildInfo()
	_, err := fmt.Fprintln(con.stdout, versionText(info))
	return err
}

// versionText is the line that tells of a build; info may be nil.
func versionText(info *debug.BuildInfo) string {
	version, commit, modified := "(devel)", "", ""
	if info != nil {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = ", commit " + s.Value[:min(12, len(s.Value))]
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = " with changes"
			}
		}
	}
	return fmt.Sprintf("crawl %s%s%s, %s %s/%s", version, commit, modified, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
