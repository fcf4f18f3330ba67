# ./dev run, build, format and nubabel. Sourced by ./dev.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts use each other's variables

api_project=$root/src/Nubabel.Api
api_dll=$api_project/bin/Release/net10.0/nubabel.dll
ready_seconds=120
api_pid=''

# What a build or a test run says when there is nothing to say.
without_noise() {
  sed -u -E '\%^(Build succeeded\.| +0 (Warning|Error)\(s\)|Time Elapsed .*|Test run for .*|A total of .*|Data collector .*|Results File: .*|Attachments:| +/.*/coverage\.info|)$%d'
}

dotnet_quietly() { (cd "$root" && dotnet "$@" -v quiet 2>&1 | without_noise); }

verb_build() {
  dotnet_found
  interruptible dotnet_quietly build Nubabel.sln -c Release
}

verb_format() {
  dotnet_found
  interruptible dotnet format "$root/Nubabel.sln"
}

build_api() {
  dotnet_found
  say 'Building …'
  interruptible dotnet_quietly build src/Nubabel.Api -c Release >&2 || die "the build failed; see above."
}

verb_run() {
  # A script killed by kill -9 may have left a short-lived child that still holds the lock; a moment, and it is free.
  lock_data './dev run' 1 || die "$(holder) is already running on $NUBABEL_DATA."
  build_api
  stop_left_api
  if ! has_own_connection_string; then start_database; fi
  trap 'exit 0' INT TERM # from here on, to be stopped is how it ends well
  start_api
  wait_ready
  print_where
  local code=0
  wait "$api_pid" || code=$?
  die "the API has ended by itself (exit code $code)."
}

# The API's output goes to the terminal and to api.log, where print_where looks things up. It has a session of its own,
# so that Ctrl-C reaches only this script, which ends it before the database. Killed by kill -9, the script takes it along.
start_api() {
  (umask 077 && : > "$NUBABEL_DATA/api.log")
  exec {api_out}> >(exec setsid tee -- "$NUBABEL_DATA/api.log" 9>&-)
  api_tee=$!
  on_end stop_api
  (cd "$root" && exec setsid setpriv --pdeathsig TERM dotnet "$api_dll" serve 9>&-) < /dev/null >&"$api_out" 2>&1 &
  api_pid=$!
  exec {api_out}>&-
  printf '%s\n' "$api_pid" > "$NUBABEL_DATA/api.pid"
}

stop_api() {
  local ended=0
  if [[ -n $api_pid ]]; then
    end_process "$api_pid"
    wait "$api_pid" 2> /dev/null || ended=$?
    if (( ended != 0 && ended != 143 && code == 0 )); then
      say "./dev: the API did not end cleanly (exit code $ended)."
      code=1 # end_all's, which is what this script ends with
    fi
  fi
  rm -f -- "$NUBABEL_DATA/api.pid"
  wait_gone "$api_tee" 2
}

end_process() {
  kill -TERM "$1" 2> /dev/null || return 0
  if wait_gone "$1" "$stop_grace_seconds"; then return 0; fi
  say "./dev: the API did not end within $stop_grace_seconds s and is killed."
  kill -KILL "$1" 2> /dev/null
}

# An API that outlived its script (kill -9) is on its way out; it must be gone before its address is taken again.
stop_left_api() {
  local pid
  pid=$(cat -- "$NUBABEL_DATA/api.pid" 2> /dev/null) || return 0
  if [[ -n $pid ]] && tr '\0' ' ' 2> /dev/null < "/proc/$pid/cmdline" | grep -q 'nubabel\.dll'; then end_process "$pid"; fi
  rm -f -- "$NUBABEL_DATA/api.pid"
}

# api_address: the first plain-HTTP address as a client on this machine writes it.
api_address() {
  local url
  for url in ${ASPNETCORE_URLS//;/ }; do
    [[ $url == http://* ]] || continue
    url=${url%/}
    if [[ $url == *:0 ]]; then # any free port: the API says which one it got
      url=$(grep -o -m 1 'http://[^ ",]*:[1-9][0-9]*' "$NUBABEL_DATA/api.log") || url=''
    fi
    if [[ $url =~ ^http://([+*]|0\.0\.0\.0|\[::\])(:[0-9]+)?$ ]]; then url=http://127.0.0.1${BASH_REMATCH[2]}; fi
    if [[ -n $url && ! $url =~ :[0-9]+$ ]]; then url+=:80; fi
    printf %s "$url"
    return 0
  done
}

# answers_ready: asks over bash's own socket; a fresh Debian has no curl.
answers_ready() {
  local host status=''
  host=$(api_address)
  host=${host#http://}
  [[ -n $host ]] || return 1
  { exec {http}<> "/dev/tcp/${host%:*}/${host##*:}"; } 2> /dev/null || return 1
  printf 'GET /health/ready HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$host" >&"$http"
  IFS= read -r -t 5 status <&"$http" || status=''
  exec {http}>&-
  [[ $status == 'HTTP/1.1 200'* ]]
}

wait_ready() {
  local end=$(( SECONDS + ready_seconds ))
  until answers_ready; do
    if is_gone "$api_pid"; then die "the API ended before it was ready; its reason is above."; fi
    if (( SECONDS >= end )); then
      say "./dev: not ready after $ready_seconds s. It goes on; /health says what is missing, Ctrl-C ends it."
      return 0
    fi
    sleep 0.2 9>&-
  done
}

# print_where: the API prints these three lines itself in Development; what it left out is added.
print_where() {
  local address
  address=$(api_address)
  logged "$address" || printf 'Address:  %s\n' "$address"
  if [[ -f $NUBABEL_DATA/operator.json ]]; then
    logged operator.json || printf 'Operator: %s\n' "$NUBABEL_DATA/operator.json"
  fi
  logged /docs || printf 'API page: %s/docs\n' "$address"
}

logged() { grep -q -F -e "$1" -- "$NUBABEL_DATA/api.log"; }

# The database is wanted by every verb but those that only read the configuration or ask the API.
verb_nubabel() {
  # While ./dev run has the API open, its files stay as they are.
  make_data
  if [[ ! -f $api_dll ]] || flock -n "$NUBABEL_DATA/lock" true; then build_api; fi
  dotnet_found
  case ${1:---help} in
    config | health | help | -* | *--help*) ;;
    *) if ! has_own_connection_string; then use_database './dev nubabel'; fi ;;
  esac
  # Where the caller stands: files are named from there.
  attached dotnet "$api_dll" "${@:---help}"
}
