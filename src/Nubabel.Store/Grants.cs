namespace Nubabel.Store;

/// <summary>What the serving logins may do, table by table: nothing that is not said here. Names come quoted.</summary>
internal static class Grants
{
    public static string Of(string api, string daemon) => $"{Log(api, daemon)}\n{Messages(api, daemon)}\n{Functions(api, daemon)}";

    private static string Log(string api, string daemon) => $"""
        revoke create on schema public from public;
        do $$ begin execute format('revoke temporary on database %I from public', current_database()); end $$;
        grant usage on schema events, nubabel, read to {api}, {daemon};
        grant select, insert, update on events.mt_streams to {api}, {daemon};
        grant select, insert on events.mt_events to {api}, {daemon};
        grant select on events.mt_event_progression, events.mt_high_water_skips to {api};
        grant select, insert, update, delete on events.mt_event_progression, events.mt_high_water_skips to {daemon};
        grant usage, select on sequence events.mt_events_sequence to {api}, {daemon};
        grant select, insert, update, delete on nubabel.claims, nubabel.idempotency to {api}, {daemon};
        grant select, insert on nubabel.subject_keys to {api};
        grant select, insert, update on nubabel.subject_keys to {daemon};
        grant select on nubabel.key_watch to {api};
        grant select, update on nubabel.key_watch to {daemon};
        grant select, insert, update, delete on nubabel.master_keys to {daemon};
        grant select on nubabel.signing_keys, nubabel.schema_migrations, nubabel.stamps to {api}, {daemon};
        grant insert, update on nubabel.signing_keys, nubabel.stamps to {daemon};
        grant select, insert, update, delete on nubabel.parked, nubabel.paused, nubabel.orders_applied, nubabel.flag_counts to {daemon};
        grant select, insert, update, delete on nubabel.nodes to {daemon};
        grant select on nubabel.audit_chain, nubabel.audit_heads, nubabel.audit_checkpoints to {api};
        grant select (kid, public, created) on nubabel.audit_keys to {api};
        grant select, insert, update, delete on nubabel.audit_chain, nubabel.audit_heads to {daemon};
        grant select, insert on nubabel.audit_checkpoints, nubabel.audit_keys to {daemon};
        grant select, insert, update on nubabel.erasures to {daemon};
        grant update (wrapped) on nubabel.audit_keys to {daemon};
        grant select on nubabel.key_uses to {api};
        grant select, insert, update, delete on nubabel.key_uses to {daemon};
        grant select, insert, update, delete on nubabel.retention_progress to {daemon};
        """;

    private static string Messages(string api, string daemon) => $"""
        grant select, insert, delete on nubabel.messages to {api};
        grant select, insert on nubabel.message_ids to {api};
        grant select, delete on nubabel.lanes to {api};
        grant insert on nubabel.deferred_messages, nubabel.ready_lanes to {api};
        grant select on nubabel.workers to {api};
        grant select on nubabel.dead_letters to {api};
        grant select on nubabel.deferred_messages to {api};
        grant select, insert, update on nubabel.message_runs to {api};
        grant select, insert, update, delete on nubabel.sealed_files, nubabel.sealed_parts to {api}, {daemon};
        grant select, insert, update, delete on nubabel.message_runs to {daemon};
        grant select, insert, update, delete on nubabel.messages, nubabel.deferred_messages, nubabel.ready_lanes, nubabel.lanes, nubabel.workers, nubabel.message_ids, nubabel.dead_letters, nubabel.schedules, nubabel.letter_sweeps to {daemon};
        grant select, insert, update on nubabel.deliveries, nubabel.circuit_breakers to {api};
        grant delete on nubabel.circuit_breakers to {api};
        grant select, insert, update, delete on nubabel.routes, nubabel.deliveries, nubabel.circuit_breakers to {daemon};
        grant usage, select on sequence nubabel.message_numbers to {api}, {daemon};
        """;

    /// <summary>Functions and read models, whichever there are.</summary>
    private static string Functions(string api, string daemon) => $"""
        revoke execute on all functions in schema nubabel from public;
        grant execute on all functions in schema nubabel to {api}, {daemon};
        revoke execute on function nubabel.beside_create(text), nubabel.beside_index(text), nubabel.beside_swap(text), nubabel.beside_drop(text), nubabel.version_drop(text, integer, text) from {api};
        grant select on nubabel.rebuilds to {api};
        grant select, insert, update, delete on nubabel.rebuilds to {daemon};
        grant select on all tables in schema read to {api};
        grant select, insert, update, delete, truncate on all tables in schema read to {daemon};
        """;
}
