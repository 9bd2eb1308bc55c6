/**
 * What a machine runs: it fetches the agent and its loop, checks them, and becomes the loop. In the foreground, because
 * the job lives as long as this does: SkyPilot takes a machine whose job has ended for idle.
 */
export const runScript = `set -eu
umask 077
dir=$HOME/.flightdeck/$FD_MACHINE
mkdir -p "$dir"

# What fails here ends the job, and its last line is what the operator is shown.
die() { echo "flightdeck: $*" >&2; exit 1; }

command -v "$FD_NODE_BIN" >/dev/null || die "there is no $FD_NODE_BIN on this machine; Node.js 18 or newer is needed"
"$FD_NODE_BIN" -e 'process.exit(process.versions.node.split(".")[0] >= 18 ? 0 : 1)' || die "$FD_NODE_BIN is older than 18"

# The join token is a file before anything else runs, and no longer in the environment of what follows.
printf %s "$FD_JOIN_TOKEN" >"$dir/join-token"
unset FD_JOIN_TOKEN

fetch() {
  trust=
  # The pinned checksum is what counts; a control plane with an authority of its own cannot be checked by curl.
  [ -z "$FD_CONTROL_FINGERPRINT" ] || trust=--insecure
  curl -fsS $trust --retry 5 --retry-connrefused --max-time 120 -o "$3.part" "$1" || die "$1 cannot be fetched"
  echo "$2  $3.part" | sha256sum -c --status || die "$1 is not what was announced: wrong checksum"
  mv "$3.part" "$3"
}
fetch "$FD_AGENT_URL" "$FD_AGENT_SHA256" "$dir/agent.cjs"
fetch "$FD_LOOP_URL" "$FD_LOOP_SHA256" "$dir/loop.sh"

echo "flightdeck: the agent of $FD_MACHINE starts"
export FLIGHTDECK_MACHINE="$FD_MACHINE" FLIGHTDECK_CONTROL_URL="$FD_CONTROL_URL"
export FLIGHTDECK_CONTROL_FINGERPRINT="$FD_CONTROL_FINGERPRINT" FLIGHTDECK_NODE_DIR="$dir"
export FLIGHTDECK_JOIN_TOKEN_FILE="$dir/join-token" FLIGHTDECK_AGENT="$dir/agent.cjs"
FLIGHTDECK_NODE_BIN=$(command -v "$FD_NODE_BIN")
export FLIGHTDECK_NODE_BIN
exec /bin/sh "$dir/loop.sh"
`
