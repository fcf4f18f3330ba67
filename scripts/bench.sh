# ./dev bench. Sourced by ./dev.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts use each other's variables

# As PostgreSQL comes, durable: what is measured is what a server in earnest would do.
bench_settings='max_connections = 200
max_prepared_transactions = 20
shared_buffers = 256MB'

verb_bench() {
  dotnet_found
  make_data
  say 'Building …'
  interruptible dotnet_quietly build bench/Nubabel.Bench -c Release >&2 || die "the build failed; see above."
  work=$(mktemp -d "${TMPDIR:-/tmp}/nubabel-bench.XXXXXX")
  on_end remove_work
  chmod 711 -- "$work"
  if [[ -z ${NUBABEL_TEST_POSTGRES:-} ]]; then start_test_server "$bench_settings" || exit 1; fi
  interruptible dotnet "$root/bench/Nubabel.Bench/bin/Release/net10.0/nubabel-bench.dll" "$@"
}
