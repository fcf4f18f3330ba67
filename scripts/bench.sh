# ./dev bench. Sourced by ./dev.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts use each other's variables

# As PostgreSQL comes, durable: what is measured is what a server in earnest would do.
bench_settings='max_connections = 200
max_prepared_transactions = 20
shared_buffers = 256MB'

bench_usage() {
  cat <<'HELP'
./dev bench [name…] [options]   the benches named, or all, one after another: each on a database of its own, on a throw-away PostgreSQL

HELP
  dotnet "$1" --list
  cat <<'HELP'
  all        every one of them

--seconds N    how long each figure is measured, once (each bench has its default)
--rounds N     how often each figure is measured; the median counts
--events N     how large the log of the benches over a large log is: 1000000, at most 10000000
--out FILE     where the JSON goes (default: a new file under artifacts/bench)
--markdown     ends with one table of all rows, as docs/performance.md has it

docs/performance.md says what each measures, beside what, and what it found.
HELP
}

verb_bench() {
  local program=$root/bench/Nubabel.Bench/bin/Release/net10.0/nubabel-bench.dll argument help=''
  for argument in "$@"; do
    if [[ $argument == -h || $argument == --help || $argument == help ]]; then help=1; fi
  done
  dotnet_found
  make_data
  say 'Building …'
  interruptible dotnet_quietly build bench/Nubabel.Bench -c Release >&2 || die "the build failed; see above."
  if [[ -n $help ]]; then
    bench_usage "$program"
    return 0
  fi
  work=$(mktemp -d "${TMPDIR:-/tmp}/nubabel-bench.XXXXXX")
  on_end remove_work
  chmod 711 -- "$work"
  if [[ -z ${NUBABEL_TEST_POSTGRES:-} ]]; then start_test_server "$bench_settings" || exit 1; fi
  interruptible dotnet "$program" "$@"
}
