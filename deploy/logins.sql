-- The database and its three logins; safe to repeat. Run by a superuser with psql: by ./dev, by the container's first
-- start (docker-compose.yml), or by hand (docs/operations.md). The passwords come from the environment, so that they
-- show neither in the list of processes nor in a file of this repository.
\set ON_ERROR_STOP on
set client_min_messages = warning;
\set owner_password `printf %s "$POSTGRES_OWNER_PASSWORD"`
\set api_password `printf %s "$POSTGRES_API_PASSWORD"`
\set daemon_password `printf %s "$POSTGRES_DAEMON_PASSWORD"`

select format('create role %I', name)
from unnest(array['nubabel_owner', 'nubabel_api', 'nubabel_daemon']) as name
where not exists (select from pg_roles where rolname = name)
\gexec

-- Owner: schema changes only. Row-level security is forced, so that it sees no tenant's rows either.
alter role nubabel_owner with login nosuperuser nocreatedb nocreaterole nobypassrls password :'owner_password';
-- Api: what a tenant's request runs as. It owns nothing and row-level security holds for it; the API refuses to start as more.
alter role nubabel_api with login nosuperuser nocreatedb nocreaterole nobypassrls password :'api_password';
-- Daemon: projections, messages and operators, over all tenants. The statistics tell it whose transaction holds a gap open.
alter role nubabel_daemon with login nosuperuser nocreatedb nocreaterole bypassrls password :'daemon_password';
grant pg_read_all_stats to nubabel_daemon;
-- Their statements run for milliseconds, and PostgreSQL would take up to half a second to compile one that it thinks is large.
alter role nubabel_api set jit = off;
alter role nubabel_daemon set jit = off;

select 'create database nubabel owner nubabel_owner'
where not exists (select from pg_database where datname = 'nubabel')
\gexec
revoke all on database nubabel from public;
grant connect on database nubabel to nubabel_api, nubabel_daemon;
