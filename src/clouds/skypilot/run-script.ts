/** What the set-up says last where it cannot go on: `flightdeck: <code>: <cause>`. The codes are the catalogue's. */
export const setUpCodes = [
  'agent_altered',
  'agent_unreachable',
  'disk_full',
  'no_downloader',
  'no_nodejs',
  'no_permission',
] as const

/** What Python is given to run where there is neither curl nor wget; `pythonSum` where no other tool computes a SHA-256. */
export const pythonGet = `import shutil, ssl, sys, urllib.request
url, path, trust = sys.argv[1:]
context = None if trust else ssl._create_unverified_context()
with urllib.request.urlopen(url, timeout=30, context=context) as reply, open(path, "wb") as file:
    shutil.copyfileobj(reply, file)
    length = reply.headers["content-length"]
    if length and int(length) != file.tell(): sys.exit("the connection was cut")
`
export const pythonSum = 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'

/** The same for a Node that the bundle runs on, where there is none of them. What is written is small: the bundle. */
const nodeGet = `const [url, path, trust] = process.argv.slice(1)
if (trust === "") process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0"
const words = { ENOSPC: "No space left on device", EDQUOT: "quota exceeded" }
async function get() {
  const reply = await fetch(url, { signal: AbortSignal.timeout(120000) })
  if (!reply.ok) throw new Error("HTTP status " + reply.status)
  require("node:fs").writeFileSync(path, Buffer.from(await reply.arrayBuffer()))
}
get().catch(({ code, message, cause }) => {
  console.error(words[code] ?? [message, cause?.code ?? cause?.message ?? ""].join(" "))
  process.exitCode = 1
})
`
const nodeSum =
  'process.stdin.pipe(require("node:crypto").createHash("sha256").setEncoding("hex")).pipe(process.stdout)'

/** Brings the agent and its loop with what the machine has. Leaves `dir`, `agent`, and `node`, empty where none is needed. */
const setUp = `set -eu
umask 077
dir=$HOME/.flightdeck/$FD_MACHINE

has() { command -v "$1" >/dev/null 2>&1; }
say() { echo "flightdeck: $*"; }
# What fails here ends the job. Its last line is what the operator is shown, the first word says which failure it is.
die() { say "$@" >&2; exit 1; }
disk() { df -Pk "$HOME" 2>/dev/null | { read -r _; read -r _ _ _ free _; echo "$((free / 1024)) MiB free"; } || echo "no room"; }
# What a tool said decides what is told: 23 is how curl calls a write that failed.
refuse_full() {
  case $1 in *"No space left"* | *"quota exceeded"* | "curl: (23)"*)
    die "disk_full: the disk of the machine is full ($(disk) below $HOME): $1" ;;
  esac
}

why=$(mkdir -p "$dir" 2>&1) || { refuse_full "$why"; die "no_permission: nothing can be written to $dir: $why"; }
# The join token is a file before anything else runs, and no longer in the environment of what follows.
why=$( (printf %s "$FD_JOIN_TOKEN" >"$dir/join-token") 2>&1) || { refuse_full "$why"; die "no_permission: $why"; }
unset FD_JOIN_TOKEN

node=
# 18 is what the bundle is built for.
if has "$FD_NODE_BIN" && "$FD_NODE_BIN" -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' >/dev/null 2>&1; then
  node=$(command -v "$FD_NODE_BIN")
fi

tool=
for name in curl wget python3 "$node"; do [ -n "$tool" ] || ! has "$name" || tool=$name; done
[ -n "$tool" ] || die "no_downloader: there is none of curl, wget, python3 and Node.js 18 on this machine, and one of them has to fetch the agent"

get() {
  # The checksum is what counts, and nothing here is secret: an authority of the control plane's own is unknown to tools.
  trust=yes
  case $1 in "$FD_CONTROL_URL"/*) [ -z "$FD_CONTROL_FINGERPRINT" ] || trust= ;; esac
  case $tool in
    curl) set -- -fsSL --connect-timeout 20 --speed-limit 1000 --speed-time 30 -o "$2" "$1"
      [ -n "$trust" ] || set -- --insecure "$@" ;;
    wget) set -- -T 30 -O "$2" "$1"
      [ -n "$trust" ] || set -- --no-check-certificate "$@"
      # Others know fewer options, and say why they failed without being asked.
      case $(wget --version 2>&1) in *"GNU Wget"*) set -- -nv -t 1 "$@" ;; *) set -- -q "$@" ;; esac ;;
    python3) set -- -c '${pythonGet}' "$1" "$2" "$trust" ;;
    *) set -- -e '${nodeGet}' "$1" "$2" "$trust" ;;
  esac
  "$tool" "$@"
}
sum_of() {
  if has sha256sum; then sha256sum
  elif has shasum; then shasum -a 256
  elif has openssl; then openssl dgst -sha256 -r
  elif has python3; then python3 -c '${pythonSum}'
  elif [ -n "$node" ]; then "$node" -e '${nodeSum}'
  else die "no_downloader: there is nothing on this machine that computes a SHA-256, and what is not checked is not run"
  fi <"$1"
}
is_right() { sum=$(sum_of "$dir/$1") || exit 1; sum=\${sum%% *}; [ "$sum" = "$2" ]; }

# From a mirror first, where there is one. Whoever serves other bytes than announced is told of and not worked around.
fetch() {
  if [ -e "$dir/$1" ] && is_right "$1" "$2"; then return; fi
  for from in $FD_AGENT_FROM; do
    for wait_s in 1 3 0; do
      if why=$(get "$from/$1" "$dir/$1.part" 2>&1); then
        is_right "$1.part" "$2" || die "agent_altered: $from/$1 is not what was announced: wrong checksum, SHA-256 $sum instead of $2"
        mv "$dir/$1.part" "$dir/$1"
        return
      fi
      why=\${why##*$'\\n'}
      refuse_full "$why"
      sleep "$wait_s"
    done
    say "$from/$1 cannot be fetched with \${tool##*/}: $why"
  done
  die "agent_unreachable: $from/$1 cannot be fetched with \${tool##*/}: $why"
}

if [ -n "$node" ]; then
  agent=agent.cjs
  fetch "$agent" "$FD_AGENT_SHA256"
else
  nothing="there is no Node.js 18 or newer on this machine ($FD_NODE_BIN)"
  sums=
  case $(uname -m) in
    x86_64 | amd64) agent=agent-linux-x64 sums=$FD_X64_SHA256 ;;
    aarch64 | arm64) agent=agent-linux-arm64 sums=$FD_ARM64_SHA256 ;;
    *) agent="a $(uname -m)" ;;
  esac
  [ -n "$sums" ] || die "no_nodejs: $nothing, and the control plane has built no executable of the agent for it ($agent)"
  say "$nothing: $agent is fetched, which needs none"
  if has gzip; then
    fetch "$agent.gz" "\${sums#* }"
    why=$( (gzip -dc "$dir/$agent.gz" >"$dir/$agent.part") 2>&1) || { refuse_full "$why"; die "no_nodejs: $agent.gz cannot be unpacked: $why"; }
    is_right "$agent.part" "\${sums% *}" || die "agent_altered: $agent is not what was announced when unpacked: wrong checksum"
    mv "$dir/$agent.part" "$dir/$agent"
    rm -f "$dir/$agent.gz"
  else
    fetch "$agent" "\${sums% *}"
  fi
  chmod 700 "$dir/$agent"
  why=$("$dir/$agent" --version 2>&1) || die "no_nodejs: $nothing, and $agent does not run on it (it needs glibc 2.28): $why"
fi
fetch loop.sh "$FD_LOOP_SHA256"
`

/**
 * What a machine runs: its set-up, and then it becomes the loop. In the foreground, because the job lives as long as this
 * does: SkyPilot takes a machine whose job has ended for idle. Not in `setup:`, whose script SkyPilot puts into /tmp of
 * the machine with every secret in it.
 */
export const runScript = `${setUp}
say "the agent of $FD_MACHINE starts"
export FLIGHTDECK_MACHINE="$FD_MACHINE" FLIGHTDECK_CONTROL_URL="$FD_CONTROL_URL"
export FLIGHTDECK_CONTROL_FINGERPRINT="$FD_CONTROL_FINGERPRINT" FLIGHTDECK_NODE_DIR="$dir"
export FLIGHTDECK_JOIN_TOKEN_FILE="$dir/join-token" FLIGHTDECK_AGENT="$dir/$agent" FLIGHTDECK_NODE_BIN="$node"
# SkyPilot puts uv there, which can fetch the Python that a recipe needs.
export PATH="$PATH:$HOME/.local/bin"
# Slurm keeps the machine when the task is over. Elsewhere SkyPilot's autodown takes it.
if [ -n "\${SLURM_JOB_ID-}" ] && has scancel; then export FLIGHTDECK_END_SELF="scancel $SLURM_JOB_ID"; fi
exec /bin/sh "$dir/loop.sh"
`
