#!/usr/bin/env bash
# Compares the benchmarks of each step of one page's way with an earlier commit:
#
#	internal/bench/compare.sh [-n ROUNDS] [COMMIT [PATTERN]]
#
# COMMIT is HEAD~1 and PATTERN all of the steps unless given. Old and new run in turns, ROUNDS (10) times each, so that
# what disturbs the machine disturbs both; benchstat tells what is a difference and what is noise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The steps: package and benchmark.
steps=(
	"frontier/boltfrontier Cycle"   # lease, and acknowledge
	"httpclient Request"            # request: its head is written
	"httpclient Head"               # head: that of a response is read
	"httpclient Fetch"              # body: one exchange, over loopback
	"internal/inflate Gzip"         # decode: a body that is there whole
	"httpclient Decode"             # decode: a body that streams
	"crawler/links Extract"         # links
	"crawler/weburl Resolve|Parse$" # canonicalise
	"crawler Judge"                 # scope
	"frontier/boltfrontier Put"     # dedup (new=1%) and put (new=100%)
	"storage/boltstore Append"      # results
	"crawler Commit"                # commit: all of a group of pages
)

rounds=10
if [ "${1-}" = -n ]; then
	rounds=$2
	shift 2
fi
commit=$(git rev-parse --verify "${1-HEAD~1}^{commit}")
pattern=${2-}

temp=$(mktemp -d)
cleanup() {
	git worktree remove --force "$temp/old" || true
	rm -rf "$temp"
}
trap cleanup EXIT
git worktree add --quiet --detach "$temp/old" "$commit"

for i in "${!steps[@]}"; do
	read -r package _ <<<"${steps[i]}"
	go test -c -o "$temp/new-$i" "./$package"
	if [ -d "$temp/old/$package" ]; then
		(cd "$temp/old" && go test -c -o "$temp/old-$i" "./$package")
	fi
done
for ((round = 1; round <= rounds; round++)); do
	for i in "${!steps[@]}"; do
		read -r package benchmarks <<<"${steps[i]}"
		for side in old new; do
			[ -x "$temp/$side-$i" ] || continue # the package is new
			root=$PWD
			[ "$side" = new ] || root=$temp/old
			(cd "$root/$package" && "$temp/$side-$i" -test.run '^$' -test.bench "${pattern:-$benchmarks}" -test.benchmem) >>"$temp/$side.txt"
		done
	done
	echo "round $round of $rounds" >&2
done
(cd internal/bench && go tool benchstat old="$temp/old.txt" new="$temp/new.txt")
