# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# test/schema.bash - what usher prints for programs has the keys that its manual documents

manual=$(dirname "${BASH_SOURCE[0]}")/../helpers/usher/usher.8

# keys_documented COMMAND - of its objects, as usher(8) has them
keys_documented() {
	awk -v command="$1" '
		/^\.Sh / { on = 0; json = /JSON/ }
		json && /^\.It Cm / { on = $3 == command }
		on && sub(/^\.(Pq )?Sy /, "") { gsub(/[^a-z0-9_ ]/, ""); print }' \
		"$manual" | tr -s ' ' '\n' | sort -u
}

# keys_printed FILE... - each key but those that every document has
keys_printed() {
	jq -r '[paths | .[] | strings] | unique[] | select(. != "format" and . != "command")' "$@" | sort -u
}

# schema_fits COMMAND EXCEPT FILE... - what it printed into the files has the keys of the manual, and
# all of them but those in EXCEPT
schema_fits() {
	local command=$1 except=$2 key head
	shift 2
	head=$(jq -r '"\(.format) \(.command)"' "$@" | sort -u)
	[[ $head == "1 $command" ]] || { echo "usher $command --json begins with $head" >&2; return 1; }
	for key in $(comm -13 <(keys_documented "$command") <(keys_printed "$@")); do
		echo "usher $command --json prints $key, which usher(8) does not document" >&2
		return 1
	done
	for key in $(comm -23 <(keys_documented "$command") <(keys_printed "$@")); do
		[[ " $except " == *" $key "* ]] && continue
		echo "usher $command --json has not printed $key" >&2
		return 1
	done
}
