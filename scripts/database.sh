# The private database of ./dev run, ./dev psql and ./dev nubabel. Sourced by ./dev.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts use each other's variables

cluster=$NUBABEL_DATA/postgres
passwords=$NUBABEL_DATA/postgres.passwords
compose_port=5442

has_own_connection_string() {
  [[ -n ${ConnectionStrings__Nubabel:-}${ConnectionStrings__NubabelDaemon:-}${ConnectionStrings__NubabelOwner:-} \
    || -n ${DATABASE_URL:-}${DIRECT_URL:-} ]]
}

# load_passwords: reads the logins' passwords, and makes them the first time. The names are those of docker-compose.yml
# and deploy/logins.sql.
load_passwords() {
  if [[ ! -s $passwords ]]; then
    (
      umask 077
      for name in POSTGRES_PASSWORD POSTGRES_OWNER_PASSWORD POSTGRES_API_PASSWORD POSTGRES_DAEMON_PASSWORD; do
        printf '%s=%s\n' "$name" "$(random_hex)"
      done > "$passwords.new"
    )
    mv -- "$passwords.new" "$passwords"
  fi
  set -a
  # shellcheck source=/dev/null
  . "$passwords"
  set +a
}

# as_superuser [psql arguments]: on the database `postgres`, as `nubabel` may not exist yet.
as_superuser() {
  PGHOST=127.0.0.1 PGPORT=$pg_port PGUSER=postgres PGPASSWORD=$POSTGRES_PASSWORD PGDATABASE=postgres "$pg_bin/psql" -X -q "$@" > /dev/null
}

# export_connection_strings: what the API reads; see docs/operations.md.
export_connection_strings() {
  local to="Host=127.0.0.1;Port=$pg_port;Database=nubabel"
  export ConnectionStrings__Nubabel="$to;Username=nubabel_api;Password=$POSTGRES_API_PASSWORD"
  export ConnectionStrings__NubabelDaemon="$to;Username=nubabel_daemon;Password=$POSTGRES_DAEMON_PASSWORD"
  export ConnectionStrings__NubabelOwner="$to;Username=nubabel_owner;Password=$POSTGRES_OWNER_PASSWORD"
}

# start_database: the private PostgreSQL with database and logins; the lock on the data is held. A server that an
# earlier ./dev left behind (kill -9 of everything around it) is stopped first, so that this one is ours to stop.
start_database() {
  load_passwords
  if pg_provide "$cluster"; then start_cluster; else start_compose; fi
  export_connection_strings
}

start_cluster() {
  if [[ ! -f $cluster/PG_VERSION ]]; then
    say 'Making a database …'
    pg_init "$cluster" "$POSTGRES_PASSWORD" 'max_connections = 200' || die "initdb failed; see above."
  fi
  pg_stop "$cluster" || die "a PostgreSQL is running in $cluster and does not stop."
  if [[ -f $NUBABEL_DATA/postgres.log ]]; then mv -f -- "$NUBABEL_DATA/postgres.log" "$NUBABEL_DATA/postgres.log.1"; fi
  on_end 'stop_cluster'
  (umask 077 && : > "$NUBABEL_DATA/postgres.log")
  pg_start "$cluster" "$NUBABEL_DATA/postgres.log" || die "PostgreSQL does not start; see $NUBABEL_DATA/postgres.log."
  as_superuser -f "$root/deploy/logins.sql" || die "the logins cannot be made. Does $passwords belong to $cluster? Remove both to start anew."
}

stop_cluster() {
  pg_stop "$cluster" || say "./dev: PostgreSQL in $cluster does not stop."
}

# Without binaries: the same server in a container, as docker-compose.yml has it, with the same passwords.
start_compose() {
  if [[ -f $cluster/PG_VERSION ]]; then
    die "$cluster was made by PostgreSQL $(< "$cluster/PG_VERSION"), whose programs are not here: install postgresql-$(< "$cluster/PG_VERSION")."
  fi
  if ! docker info > /dev/null 2>&1 || ! docker compose version > /dev/null 2>&1; then
    die "no PostgreSQL to be found: install it (apt-get install postgresql), or start Docker, or set ConnectionStrings__Nubabel, ConnectionStrings__NubabelDaemon and ConnectionStrings__NubabelOwner."
  fi
  pg_port=$compose_port
  export POSTGRES_PORT=$pg_port
  on_end 'compose stop db'
  compose up -d --wait db || die "docker compose cannot start the database; see above."
  # The logins of a volume that is older than these passwords get them now.
  # shellcheck disable=SC2016 # the container's shell fills it in
  compose exec -T db sh -c 'PGPASSWORD=$POSTGRES_PASSWORD exec psql -X -q -U postgres -f /docker-entrypoint-initdb.d/10-logins.sql' \
    || die "the logins cannot be made in the container."
}

# The compose file also names what only its API needs; the database does not care for the values.
compose() {
  Keys__Master=${Keys__Master:-unused} Tokens__Issuer=${Tokens__Issuer:-unused} \
    docker compose -p nubabel-dev -f "$root/docker-compose.yml" "$@" < /dev/null >&2 9>&-
}

# use_database WHAT: joins the database of a ./dev that is running, or starts it until this script ends.
use_database() {
  local end=$(( SECONDS + 60 ))
  until lock_data "$1"; do
    if in_container; then
      load_passwords
      pg_port=$compose_port
      export_connection_strings
      return 0
    fi
    if [[ -s $passwords ]] && pg_find "$cluster" && pg_pid "$cluster" > /dev/null && pg_answers; then
      export_connection_strings
      return 0
    fi
    (( SECONDS < end )) || die "$(holder) holds $NUBABEL_DATA but its database does not answer."
    sleep 0.2
  done
  start_database
}

# True where start_compose has been the way.
in_container() { [[ -s $passwords && ! -f $cluster/PG_VERSION ]] && ! pg_find "$cluster"; }

pg_answers() {
  load_passwords
  pg_port=$(sed -n 's/^port = //p' "$cluster/nubabel.port.conf" 2> /dev/null)
  [[ -n $pg_port ]] && as_superuser -c 'select 1' 2> /dev/null
}

holder() { head -n 1 -- "$NUBABEL_DATA/lock"; }

verb_psql() {
  if has_own_connection_string; then
    die "the database is yours (a connection string is set): open it with psql itself."
  fi
  if in_container; then die "the database is in a container: docker compose -p nubabel-dev exec db psql -U postgres nubabel"; fi
  if [[ ! -f $cluster/PG_VERSION ]]; then die "there is no database in $NUBABEL_DATA yet: ./dev run makes it."; fi
  use_database "./dev psql"
  trap : INT # Ctrl-C cancels a query, and psql stays
  export PGHOST=127.0.0.1 PGPORT=$pg_port PGUSER=postgres PGPASSWORD=$POSTGRES_PASSWORD PGDATABASE=${PGDATABASE:-nubabel}
  attached "$pg_bin/psql" -X "$@"
}
