# Starting and ending processes. Sourced by ./dev.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts use each other's variables

stop_grace_seconds=25 # for the API; with PostgreSQL's share a stop stays under 45 s

# What has to be undone when the script ends, however it ends (but kill -9); run last in, first out.
undo=()
on_end() { undo+=("$1"); }

# Within a trap a bare `return` gives the status from before the trap, so what runs here returns a number.
child=''
end_all() {
  local code=$? i
  trap '' INT TERM HUP # a second Ctrl-C must not cut the clean-up short
  trap - EXIT
  set +e
  if [[ -n $child ]]; then
    kill -TERM -- "-$child" 2> /dev/null || kill -TERM "$child" 2> /dev/null
    wait "$child" 2> /dev/null
  fi
  for (( i = ${#undo[@]} - 1; i >= 0; i-- )); do ${undo[i]}; done
  exit "$code"
}
trap end_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# Runs a command that may take long. bash runs a trap only between foreground commands, but at once while it waits:
# so a SIGTERM to ./dev alone ends a build or a test run, too. Descriptor 9 is the lock (see lock_data): no child may
# keep it open, or the lock would outlive the script.
interruptible() {
  local code=0
  set -m # a process group of its own, so that its children end with it
  "$@" < /dev/null 9>&- &
  child=$!
  set +m
  wait "$child" || code=$?
  child=''
  return "$code"
}

# attached COMMAND…: for what may talk with the person at the terminal: it keeps standard input and the terminal's process
# group. Still we wait in a way that lets a SIGTERM to ./dev alone through; a trap that does nothing waits on.
attached() {
  local code
  "$@" <&0 9>&- &
  child=$!
  while true; do
    code=0
    wait "$child" || code=$?
    if (( code <= 128 )) || is_gone "$child"; then break; fi
  done
  child=''
  return "$code"
}

# is_gone PID: true when no such process is left; a zombie that nobody reaps is gone, too.
is_gone() {
  local stat
  { read -r stat < "/proc/$1/stat"; } 2> /dev/null || return 0
  stat=${stat##*) }
  [[ ${stat:0:1} == Z ]]
}

# wait_gone PID SECONDS: waits that long at most; false when it is still there.
wait_gone() {
  local end=$(( SECONDS + $2 ))
  until is_gone "$1"; do
    (( SECONDS < end )) || return 1
    sleep 0.1 9>&-
  done
}

dotnet_found() {
  local dir
  for dir in '' "${DOTNET_ROOT:-}" "$HOME/.dotnet" /usr/share/dotnet /usr/lib/dotnet; do
    if [[ -x $dir/dotnet ]]; then PATH=$dir:$PATH; fi
    if command -v dotnet > /dev/null; then return 0; fi
  done
  die "the .NET 10 SDK is missing: see https://dotnet.microsoft.com/download/dotnet/10.0"
}

# lock_data WHAT [SECONDS TO WAIT]: one script at a time owns the data directory. The kernel frees the lock with the process, so there
# is no stale lock, not even after kill -9.
lock_data() {
  make_data
  exec 9>> "$NUBABEL_DATA/lock"
  flock -w "${2:-0}" 9 || return 1
  : > "$NUBABEL_DATA/lock"
  printf '%s (pid %s)\n' "$1" "$$" >&9
}

make_data() {
  # shellcheck disable=SC2174 # directories above it are as the umask says
  [[ -d $NUBABEL_DATA ]] || mkdir -p -m 700 -- "$NUBABEL_DATA" || die "cannot make $NUBABEL_DATA."
  [[ -w $NUBABEL_DATA ]] || die "$NUBABEL_DATA is not writable by $(id -un)."
}
