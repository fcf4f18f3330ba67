-- The processes that run a daemon on this database. Each writes its row at every heartbeat, by the database's clock, and takes it away when it stops in order;
-- the row of one that was killed stays a while, so that an operator sees who is gone.
create table nubabel.nodes (
  name         varchar     not null, -- the application name of its direct connections
  started      timestamptz not null default clock_timestamp(),
  seen         timestamptz not null default clock_timestamp(),
  progressions varchar[]   not null, -- what its build runs: the progression names of its projections, whether it has their leases or not
  takes        varchar[]   not null, -- those of them that it would run now: none while its loop does not go round
  constraint nodes_pkey primary key (name)
) with (fillfactor = 50); -- rewritten twice a second: room for the new row on the same page
