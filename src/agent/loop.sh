#!/bin/sh
# Keeps the agent of one machine alive, and leaves nothing behind when told to end: neither the agent, nor the engine,
# nor what an engine has started in a session of its own. Works when the agent is dead or hangs at that moment.
set -u

: "${FLIGHTDECK_MACHINE:?}" "${FLIGHTDECK_NODE_DIR:?}" "${FLIGHTDECK_AGENT:?}"
# Empty where the agent is an executable that brings its own Node.
: "${FLIGHTDECK_NODE_BIN=}"
dir=$FLIGHTDECK_NODE_DIR
mark=FLIGHTDECK_MACHINE=$FLIGHTDECK_MACHINE
ended_for_good=86
default_grace=10
agent=
ending=

say() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) loop: $*" >&2; }

# Sets state, parent, group, session and started from /proc/PID/stat; false when there is no such process.
look_at() {
  stat=
  # The file may vanish between the two looks.
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  # The command's name stands in brackets and may hold spaces and brackets; the last one closes it.
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  state=$1 parent=$2 group=$3 session=$4
  shift 19
  started=$1
}

# The engine's group as the agent recorded it, unless its leader's number belongs to another process by now.
read_engine() {
  engine_group= engine_started= grace=
  [ -r "$dir/engine.pid" ] && read -r engine_group engine_started grace <"$dir/engine.pid"
  grace=${grace:-$default_grace}
  if [ -n "$engine_group" ] && look_at "$engine_group" && [ "$started" != "$engine_started" ]; then engine_group=; fi
}

# A zombie that nobody reaps is not alive.
group_lives() {
  [ -n "$engine_group" ] && kill -0 "-$engine_group" 2>/dev/null || return 1
  for entry in /proc/[0-9]*; do
    look_at "${entry#/proc/}" && [ "$group" = "$engine_group" ] && [ "$state" != Z ] && return 0
  done
  return 1
}

signal_group() {
  if [ -n "$engine_group" ]; then kill "-$1" "-$engine_group" 2>/dev/null; fi
}

# Sets members to the pids of all that belongs to this machine, by any trace that is left of it: the machine's name in
# the environment, output that goes into our folder, the engine's session, or a parent among them. A program that sets
# its title may write over its environment, as vLLM's core does. grep runs without the name, or would find itself.
find_members() {
  read_engine
  {
    env -u FLIGHTDECK_MACHINE grep -lzxF -e "$mark" /proc/[0-9]*/environ 2>/dev/null
    ls -l /proc/[0-9]*/fd/1 /proc/[0-9]*/fd/2 2>/dev/null | grep -F " -> $real_dir/" | sed 's|.* /proc/|/proc/|'
  } >"$dir/sweep"
  members=' '
  while read -r entry; do
    pid=${entry#/proc/}
    add_member "${pid%%/*}"
  done <"$dir/sweep"
  more=yes
  while [ -n "$more" ]; do
    more=
    for entry in /proc/[0-9]*; do
      look_at "${entry#/proc/}" && is_kin && add_member "${entry#/proc/}" && more=yes
    done
  done
}

# Of the process that was looked at last.
is_kin() {
  [ -n "$engine_group" ] && [ "$session" = "$engine_group" ] && return 0
  case "$members" in *" $parent "*) return 0 ;; esac
  return 1
}

# False for who is a member already. Whoever started us is none: it may carry the name, and ends by itself when we do.
add_member() {
  case "$members" in *" $1 "*) return 1 ;; esac
  [ "$1" = $$ ] || ! is_ancestor "$1" || return 1
  members="$members$1 "
}

# We and those above us.
is_ancestor() {
  case "$ancestors" in *" $1 "*) return 0 ;; esac
  return 1
}

find_ancestors() {
  ancestors=' '
  at=$$
  while [ "$at" -gt 1 ]; do
    ancestors="$ancestors$at "
    look_at "$at" || return 0
    at=$parent
  done
}

# Signals every process of this machine and this user but ourselves; false when there was none.
signal_members() {
  find_members
  found=1
  for pid in $members; do
    [ "$pid" != $$ ] && [ -O "/proc/$pid" ] || continue
    look_at "$pid" && [ "$state" != Z ] || continue
    found=0
    [ "$1" = 0 ] || kill "-$1" "$pid" 2>/dev/null
  done
  return $found
}

# The agent goes first, or it would start again what is ended here. It leaves the engine alone when told to stop, and has
# a second for it; where it says that requests are in flight, the time to finish them.
end_agent() {
  [ -n "$agent" ] || return 0
  kill -TERM "$agent" 2>/dev/null
  tries=0
  while look_at "$agent" && [ "$state" != Z ]; do
    tries=$((tries + 1))
    if [ "$tries" -ge 220 ] || { [ "$tries" -ge 10 ] && [ ! -e "$dir/leaving" ]; }; then kill -KILL "$agent" 2>/dev/null; fi
    sleep 0.1
  done
  agent=
}

end_everything() {
  ending=yes
  trap '' TERM INT HUP
  end_agent
  find_ancestors
  read_engine
  signal_group TERM
  signal_members TERM
  tries=0
  while { group_lives || signal_members 0; } && [ "$tries" -lt $((grace * 5)) ]; do
    tries=$((tries + 1))
    sleep 0.2
  done
  # A driver may hold a process for a while even after SIGKILL; the machine's end takes it then.
  tries=0
  while { group_lives || signal_members 0; } && [ "$tries" -lt 50 ]; do
    tries=$((tries + 1))
    signal_group KILL
    signal_members KILL
    sleep 0.1
  done
  # Its numbers go to other processes one day, and nobody may take those for ours. Its secrets end with it, and with them
  # what its engine wrote and may have told of them: the transcript has it, with the secrets hidden.
  [ ! -s "$dir/secrets.json" ] || grep -q '^{}$' "$dir/secrets.json" || rm -f "$dir/engine.log"
  rm -f "$dir/sweep" "$dir/engine.pid" "$dir/secrets.json" "$dir/credential.json"
  # Gigabytes that were installed for this machine alone. On a disk that outlives it nobody else would take them away.
  rm -rf "$dir/recipe"
  # As is an executable that was brought here for it: 127 MB.
  case "$FLIGHTDECK_NODE_BIN$FLIGHTDECK_AGENT" in "$dir"/*) rm -f "$FLIGHTDECK_AGENT" ;; esac
}

told_to_end() {
  [ -z "$ending" ] || return 0
  say "told to end"
  end_everything
  exit 0
}

# Whether the process that a file names by number and start still lives.
holder_lives() {
  [ -r "$1" ] && read -r holder since <"$1" && look_at "$holder" && [ "$started" = "$since" ] && [ "$state" != Z ]
}

# One loop and one agent for each machine: the agent inherits the lock, and no child of the agent does, so it is free the
# moment that both are gone. A second job of the same machine finds it taken.
take_lock() {
  exec 9>"$dir/lock"
  if command -v flock >/dev/null; then
    flock -n 9
    return
  fi
  # Without flock(1) it is a link, made whole or not at all, to a note of who holds it.
  look_at $$
  echo "$$ $started" >"$dir/lock.$$"
  tries=0
  until ln "$dir/lock.$$" "$dir/lock.held" 2>/dev/null; do
    tries=$((tries + 1))
    if holder_lives "$dir/lock.held" || holder_lives "$dir/agent.pid" || [ "$tries" -gt 20 ]; then
      [ -e "$dir/lock.held" ] || say "$dir takes no links, so it cannot be locked"
      rm -f "$dir/lock.$$"
      return 1
    fi
    # A dead holder's. Whoever moves a lock aside that was taken just then puts it back.
    mv "$dir/lock.held" "$dir/lock.old.$$" 2>/dev/null || continue
    if holder_lives "$dir/lock.old.$$"; then ln "$dir/lock.old.$$" "$dir/lock.held" 2>/dev/null; fi
    rm -f "$dir/lock.old.$$"
  done
  rm -f "$dir/lock.$$"
}

mkdir -p "$dir" && chmod 700 "$dir" || exit 1
real_dir=$(cd "$dir" && pwd -P) || exit 1
if ! take_lock; then
  say "another loop or agent keeps $FLIGHTDECK_MACHINE; nothing to do"
  exit 0
fi
trap told_to_end TERM INT HUP

wait_s=1
while :; do
  began=$(date +%s)
  rm -f "$dir/leaving"
  ${FLIGHTDECK_NODE_BIN:+"$FLIGHTDECK_NODE_BIN"} "$FLIGHTDECK_AGENT" run >>"$dir/agent.log" 2>&1 &
  agent=$!
  if look_at "$agent"; then echo "$agent $started" >"$dir/agent.pid"; fi
  wait "$agent"
  code=$?
  agent=
  if [ "$code" -eq "$ended_for_good" ]; then
    end_everything
    # Where the machine would outlive its job, the task says how it is ended; words of a command, of our own script.
    ${FLIGHTDECK_END_SELF-}
    exit 0
  fi
  say "the agent ended with $code; starting it again in $wait_s s"
  sleep "$wait_s" 9>&- &
  wait $!
  # An agent that ran for a while has earned a quick restart; one that falls over at once is tried less and less often.
  if [ $(($(date +%s) - began)) -ge 30 ]; then wait_s=1; else wait_s=$((wait_s < 8 ? wait_s * 2 : 10)); fi
done
