# A PostgreSQL server of our own in a directory of our own. Sourced by ./dev.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts use each other's variables
#
# The server refuses to run as root, so root's ./dev starts it as the directory's owner, else as postgres or nobody.
# That user may be unable to reach the directory by name (a checkout under /root, or in a directory of mode 700). We open
# it for the server and hand it over as descriptor 7: /proc/self/fd/7 leads there past the directories above.

pg_oldest=15
pg_bin=''
pg_as=()
pg_port=''

random_hex() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# pg_find DIRECTORY: sets pg_bin to binaries that fit the cluster there, or to the newest when there is none yet.
pg_find() {
  local want='' dir version
  if [[ -r $1/PG_VERSION ]]; then want=$(< "$1/PG_VERSION"); fi
  while read -r dir; do
    [[ -x $dir/postgres && -x $dir/initdb && -x $dir/psql ]] || continue
    version=$("$dir/postgres" --version) || continue
    version=${version##*) }
    version=${version%%[!0-9]*}
    if [[ ${want:-$version} == "$version" ]] && (( version >= pg_oldest )); then
      pg_bin=$dir
      return 0
    fi
  done < <(
    if command -v postgres > /dev/null; then dirname "$(readlink -f "$(command -v postgres)")"; fi
    printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV
  )
  return 1
}

# pg_provide DIRECTORY: as pg_find, and installs Debian's package when it may.
pg_provide() {
  pg_find "$1" && return 0
  (( EUID == 0 )) && command -v apt-get > /dev/null || return 1
  say 'Installing postgresql …'
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; } \
    < /dev/null >&2 9>&- || return 1
  pg_find "$1"
}

# pg_become DIRECTORY: sets pg_as, the prefix that makes a command run as the server's user, and makes the directory
# that user's. The server wants it to itself.
pg_become() {
  local owner
  if [[ ! -d $1 ]]; then mkdir -m 700 -- "$1"; fi
  owner=$(stat -c %u -- "$1")
  pg_as=()
  if (( EUID != 0 )); then
    (( owner == EUID )) || die "$1 belongs to $(stat -c %U -- "$1"): run ./dev as that user, or set NUBABEL_DATA."
    return 0
  fi
  if (( owner == 0 )); then
    if id -u postgres > /dev/null 2>&1; then owner=$(id -u postgres); else owner=$(id -u nobody); fi
    chown -- "$owner:$(id -g "$owner")" "$1"
  fi
  pg_as=(setpriv --reuid="$owner" --regid="$(stat -c %g -- "$1")" --clear-groups)
}

# pg_seen DIRECTORY: its name for the server's user.
pg_seen() {
  if (cd / && "${pg_as[@]}" test -x "$1"); then printf %s "$1"; else printf /proc/self/fd/7; fi
}

# pg_init DIRECTORY PASSWORD SETTINGS [initdb options]: makes a cluster; one that was cut short never gets the name.
pg_init() {
  local new=$1.new seen secret code=0
  rm -rf -- "$new"
  pg_become "$new"
  # Only a file serves: as another user, initdb could not open a pipe of ours.
  secret=$(mktemp)
  printf '%s\n' "$2" > "$secret"
  if (( ${#pg_as[@]} > 0 )); then chown --reference="$new" -- "$secret"; fi
  # C.UTF-8 sorts alike on every machine and libc.
  seen=$(pg_seen "$new")
  (cd / && exec "${pg_as[@]}" "$pg_bin/initdb" -D "$seen" -U postgres --pwfile="$secret" \
    -A scram-sha-256 -E UTF8 --locale=C.UTF-8 "${@:4}" 7< "$new" 9>&-) > /dev/null || code=$?
  rm -f -- "$secret"
  (( code == 0 )) || return "$code"
  {
    printf "\n# From ./dev. Loopback only, and a password even there: other users of the machine stay out.\n"
    printf "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\n%s\n" "$3"
    printf "include_if_exists 'nubabel.port.conf'\n"
  } >> "$new/postgresql.conf"
  mv -- "$new" "$1"
}

# pg_pid DIRECTORY: prints the pid of the server that runs there, or fails. The pid file may be stale and its number
# someone else's by now, so the process must also work in this directory; only its own user may always look.
pg_pid() {
  local pid
  pid=$(head -n 1 -- "$1/postmaster.pid" 2> /dev/null) && [[ -n $pid ]] || return 1
  pg_become "$1"
  [[ $(cd / && "${pg_as[@]}" readlink "/proc/$pid/cwd") == "$(realpath -- "$1")" ]] || return 1
  printf %s "$pid"
}

pg_is_free() { ! (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

# pg_pick_port DIRECTORY: the port of last time, or a free one below the kernel's range for outgoing connections.
pg_pick_port() {
  pg_port=$(sed -n 's/^port = //p' "$1/nubabel.port.conf" 2> /dev/null) || pg_port=''
  while [[ -z $pg_port ]] || ! pg_is_free "$pg_port"; do pg_port=$(( 15000 + RANDOM % 15000 )); done
  (umask 022 && printf 'port = %s\n' "$pg_port" > "$1/nubabel.port.conf")
}

# pg_start DIRECTORY LOG: starts the server and waits until it takes connections (after a crash it first recovers).
# It has a session of its own, as Ctrl-C goes to the terminal's whole group and PostgreSQL must outlive the API. Should
# this script die by kill -9, the kernel sends the server SIGINT, which is a clean, fast shutdown.
pg_start() {
  local pid seen try end
  pg_become "$1"
  seen=$(pg_seen "$1")
  for try in 1 2 3; do
    pg_pick_port "$1"
    (cd / && exec setsid "${pg_as[@]:-setpriv}" --pdeathsig INT "$pg_bin/postgres" -D "$seen" 7< "$1" 9>&-) \
      < /dev/null > "$2" 2>&1 &
    pid=$!
    end=$(( SECONDS + 300 ))
    while ! is_gone "$pid" && (( SECONDS < end )); do
      if [[ $(sed -n '1p;8p' "$1/postmaster.pid" 2> /dev/null) == "$pid"$'\n'ready* ]]; then return 0; fi
      sleep 0.05 9>&-
    done
    # Someone took the port between our look and the server's bind: another one, then.
    if (( try == 3 )) || ! grep -q 'could not bind' "$2"; then break; fi
    rm -f -- "$1/nubabel.port.conf"
  done
  tail -n 5 -- "$2" >&2
  return 1
}

# pg_stop DIRECTORY: fast and clean; the immediate way (recovery at the next start) when that takes too long.
pg_stop() {
  local pid
  pid=$(pg_pid "$1") || return 0
  kill -INT "$pid" 2> /dev/null || return 0
  if wait_gone "$pid" 12; then return 0; fi
  kill -QUIT "$pid" 2> /dev/null
  wait_gone "$pid" 5
}
