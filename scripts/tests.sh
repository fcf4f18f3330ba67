# ./dev test, check and contracts. Sourced by ./dev.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts use each other's variables

work=''    # temporary directory: cluster, results, coverage
test_cluster='' # where the throw-away server has its data
in_memory='' # the directory in memory that holds it, if it does
most_in_memory=$(( 6 << 30 )) # a run of the whole suite takes less than half of it
passed=0 failed=0 skipped=0

test_settings='max_connections = 1000
max_prepared_transactions = 20
max_locks_per_transaction = 256
shared_buffers = 256MB
# Nothing here outlives the run, so nothing is forced to disk.
fsync = off
synchronous_commit = off
full_page_writes = off
# Tables of a few rows that nobody has analyzed look large: their plans would be compiled for longer than they run.
jit = off'

all_projects() {
  projects=("$root"/tests/*.Tests)
  projects=("${projects[@]##*/}")
}

verb_test() {
  local projects=() builds=() name code=0
  while [[ ${1:-} != '' && -d $root/tests/Nubabel.${1:-}.Tests ]]; do
    projects+=("Nubabel.$1.Tests")
    shift
  done
  # A word that is neither a project nor an option is a slip of the fingers, not a filter.
  if [[ ${1:-} != '' && ${1:-} != -* ]]; then die "there is no test project $1."; fi
  # Whoever tests one project waits for what it needs, and not for the whole.
  builds=("${projects[@]/#/tests/}")
  if (( ${#projects[@]} == 0 )); then all_projects; builds=(Nubabel.sln); fi
  dotnet_found
  say 'Building …'
  for name in "${builds[@]}"; do
    interruptible dotnet_quietly build "$name" -c Release >&2 || code=$?
  done
  if (( code == 0 )); then run_tests "$@"; else failed=1; fi
  close_with_sum
}

# The same steps on a developer's machine and in CI. The last line is the sum in any case.
verb_check() {
  local formatted=true projects=()
  all_projects
  dotnet_found
  say 'Restoring from the lock files …'
  if ! interruptible dotnet_quietly restore Nubabel.sln --locked-mode; then failed=1; close_with_sum; fi
  say 'Building; a warning is an error …'
  if ! interruptible dotnet_quietly build Nubabel.sln -c Release --no-restore -warnaserror; then failed=1; close_with_sum; fi
  say 'Checking the format …'
  interruptible dotnet format "$root/Nubabel.sln" --verify-no-changes --no-restore || formatted=false
  run_tests --collect 'XPlat Code Coverage' --settings "$root/tests/coverage.runsettings"
  print_coverage
  if ! $formatted; then
    failed=$(( failed + 1 ))
    printf '\nThe format check failed (counted as one failure): ./dev format mends it.\n'
  fi
  close_with_sum
}

# Cleans up first: nothing may follow the sum.
close_with_sum() {
  if [[ -n $work ]]; then remove_work; fi
  printf '\n%d passed, %d failed' "$passed" "$failed"
  if (( skipped > 0 )); then printf ', %d skipped' "$skipped"; fi
  printf '\n'
  (( failed == 0 && passed > 0 ))
  exit
}

# run_tests [dotnet test arguments]: the projects, one after the other. Each runs its own tests in parallel and fills the
# cores alone; two at a time would share one server's connections and disturb each other's timing.
run_tests() {
  local name code
  work=$(mktemp -d "${TMPDIR:-/tmp}/nubabel-test.XXXXXX")
  on_end remove_work
  # The server's user must pass through on its way to the cluster.
  chmod 711 -- "$work"
  if [[ -z ${NUBABEL_TEST_POSTGRES:-} ]] && ! start_test_server "$test_settings" in_memory; then
    failed=1
    return 0
  fi
  fetch_foreign
  find_browser
  for name in "${projects[@]}"; do
    printf '\n%s\n' "$name"
    code=0
    interruptible dotnet_quietly test "tests/$name" -c Release --no-build --nologo \
      --results-directory "$work/$name" --logger "trx;LogFileName=$name.trx" --logger 'console;verbosity=minimal' \
      --blame-hang-timeout 10m --blame-hang-dump-type none "$@" || code=$?
    add_results "$name" "$code"
    if [[ -n ${NUBABEL_TEST_RESULTS:-} && -f $work/$name/$name.trx ]]; then
      mkdir -p -- "$NUBABEL_TEST_RESULTS"
      cp -- "$work/$name/$name.trx" "$NUBABEL_TEST_RESULTS/"
    fi
  done
}

# Programs by others that the API's tests talk to (tests/foreign), by npm where node is. Elsewhere, or where npm reaches no registry, those tests are
# skipped: the sum says how many, and this says why.
fetch_foreign() {
  local from=$root/tests/foreign
  if [[ " ${projects[*]} " != *' Nubabel.Api.Tests '* || -n ${NUBABEL_TEST_FOREIGN:-} ]]; then return 0; fi
  if ! command -v node > /dev/null || ! command -v npm > /dev/null; then
    say 'There is no node with npm: tests against programs from there are skipped.'
    return 0
  fi
  if [[ ! $from/node_modules/.package-lock.json -nt $from/package-lock.json ]] \
    && ! timeout 60 npm ci --prefix "$from" --ignore-scripts --no-audit --no-fund --loglevel=error > "$work/npm.log" 2>&1 < /dev/null; then
    say 'npm could not fetch the packages of tests/foreign: tests against them are skipped.'
    return 0
  fi
  export NUBABEL_TEST_FOREIGN=$from
}

# A Chromium for the tests of pages: the one that is there, or Debian's package where it may be installed. Elsewhere those tests are skipped: the sum says
# how many, and this says why.
find_browser() {
  local name
  if [[ " ${projects[*]} " != *' Nubabel.Api.Tests '* || -n ${NUBABEL_TEST_CHROMIUM:-} ]]; then return 0; fi
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" > /dev/null; then NUBABEL_TEST_CHROMIUM=$(command -v "$name"); break; fi
  done
  if [[ -z ${NUBABEL_TEST_CHROMIUM:-} ]] && (( EUID == 0 )) && command -v apt-get > /dev/null; then
    say 'Installing chromium …'
    if { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } < /dev/null >&2 9>&-; then
      NUBABEL_TEST_CHROMIUM=$(command -v chromium) || true
    fi
  fi
  if [[ -z ${NUBABEL_TEST_CHROMIUM:-} ]]; then
    say 'There is no Chromium, and none could be installed: tests of pages in a browser are skipped.'
    return 0
  fi
  export NUBABEL_TEST_CHROMIUM
}

# add_results PROJECT EXIT-CODE: adds the counters of its result file. A run that failed without naming a failed test
# has crashed or did not start: one failure, so that the sum never looks better than the run was.
add_results() {
  local total=0 executed=0 ok=0 bad=0 read_ok=false
  local file=$work/$1/$1.trx
  if [[ -f $file ]] && read -r total executed ok bad < <(
    grep -o -m 1 '<Counters [^>]*>' "$file" \
      | sed -E 's/.* total="([0-9]+)" executed="([0-9]+)" passed="([0-9]+)" failed="([0-9]+)".*/\1 \2 \3 \4/'); then
    read_ok=true
  fi
  if (( $2 != 0 && bad == 0 )) || { (( executed > ok + bad )); }; then
    bad=$(( bad + 1 ))
    printf '%s ended abnormally (exit code %d): counted as one failure.\n' "$1" "$2"
  elif ! $read_ok; then
    printf '%s: no tests ran.\n' "$1"
  fi
  passed=$(( passed + ok ))
  failed=$(( failed + bad ))
  skipped=$(( skipped + total - executed ))
}

# start_test_server SETTINGS [in_memory]: in the directory $work, or in memory where there is room, until the script ends.
start_test_server() {
  local password
  test_cluster=$work/postgres
  # A run makes and drops hundreds of databases of hundreds of files each; on a disk the file system would take longer than the server.
  if [[ ${2:-} == in_memory && $(stat -f -c %T /dev/shm 2> /dev/null) == tmpfs && -w /dev/shm ]] && (( $(stat -f -c '%a * %S' /dev/shm) >= most_in_memory && $(free_memory) >= most_in_memory )); then
    test_cluster=$(mktemp -d /dev/shm/nubabel-test.XXXXXX)
    chmod 711 -- "$test_cluster"
    in_memory=$test_cluster test_cluster=$test_cluster/postgres
  fi
  if ! pg_provide "$test_cluster"; then
    say './dev: no PostgreSQL to be found: install it (apt-get install postgresql), or set NUBABEL_TEST_POSTGRES.'
    return 1
  fi
  password=$(random_hex)
  say 'Starting a throw-away PostgreSQL …'
  pg_init "$test_cluster" "$password" "$1" --no-sync || return 1
  pg_start "$test_cluster" "$work/postgres.log" || return 1
  export NUBABEL_TEST_POSTGRES="Host=127.0.0.1;Port=$pg_port;Username=postgres;Password=$password;Database=postgres"
}

# What is free in bytes, also by giving up what is only remembered.
free_memory() { awk '/^MemAvailable:/ { printf "%.0f", $2 * 1024 }' /proc/meminfo; }

remove_work() {
  if [[ -d $test_cluster ]]; then pg_stop "$test_cluster"; fi
  rm -rf -- "$work" ${in_memory:+"$in_memory"}
}

# print_coverage: a line counts as covered when the tests of any project ran it.
print_coverage() {
  printf '\nLine coverage\n'
  find "$work" -name coverage.info -exec cat {} + | awk -v root="$root/src/" '
    /^SF:/ { file = substr($0, 4) }
    /^DA:/ {
      if (index(file, root) != 1) next
      split(substr($0, 4), part, ",")
      line = file ":" part[1]
      if (!(line in hits)) { hits[line] = 0; rest = substr(file, length(root) + 1); of[line] = substr(rest, 1, index(rest, "/") - 1) }
      if (part[2] > 0) hits[line] = 1
    }
    END {
      for (line in hits) { all[of[line]]++; if (hits[line]) run[of[line]]++ }
      split("Nubabel.Domain Nubabel.Store Nubabel.Projections", names, " ")
      for (i = 1; i <= 3; i++) {
        name = names[i]
        if (all[name]) printf "  %-20s %5.1f %%  (%d of %d lines)\n", name, 100 * run[name] / all[name], run[name], all[name]
        else printf "  %-20s  none\n", name
      }
    }'
}
