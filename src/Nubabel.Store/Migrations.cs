using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace Nubabel.Store;

/// <summary>One embedded schema step and what the database knows of it.</summary>
/// <param name="State"><c>applied</c>, <c>pending</c>, <c>drifted</c> (its text has changed since) or <c>unknown</c> (applied by a newer build).</param>
public sealed record MigrationStatus(int Number, string Name, string State, DateTimeOffset? Applied);

/// <summary>The schema differs from what this build was made for; the message names the step.</summary>
public sealed class SchemaDrift(string message) : Exception(message);

/// <summary>
/// The schema as numbered SQL files, forward only, each applied once in its own transaction under an advisory lock. The checksum of what was
/// applied is kept, so that an edited file is noticed instead of trusted.
/// </summary>
public static class Migrations
{
    /// <summary>Held by whoever changes the schema or its rights. Any constant will do, as long as all builds agree on it.</summary>
    internal const long Lock = 0x4E75_6261_6265_6C01;

    private static readonly Step[] Steps = [.. Embedded()];

    /// <summary>What is applied, pending, drifted or unknown, in order.</summary>
    public static async Task<IReadOnlyList<MigrationStatus>> Status(NpgsqlDataSource source, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        return Compare(await Applied(connection, ct));
    }

    /// <summary>Applies what is pending. Several nodes may call this at once: one works, the others find it done.</summary>
    /// <exception cref="SchemaDrift">An applied step has changed, or the database is newer than this build.</exception>
    public static async Task<IReadOnlyList<MigrationStatus>> Apply(NpgsqlDataSource owner, CancellationToken ct)
    {
        await using var connection = await owner.OpenConnectionAsync(ct);
        await Run(connection, null, $"select pg_advisory_lock({Lock})", ct);
        try
        {
            await Run(connection, null, """
                create schema if not exists nubabel;
                create table if not exists nubabel.schema_migrations (
                  number   integer     primary key,
                  name     varchar     not null,
                  checksum varchar     not null,
                  applied  timestamptz not null default now()
                )
                """, ct);
            var applied = await Applied(connection, ct);
            Refuse(Compare(applied));
            foreach (var step in Steps.Where(s => !applied.ContainsKey(s.Number)))
            {
                await using var transaction = await connection.BeginTransactionAsync(ct);
                await Run(connection, transaction, step.Text, ct);
                await using var record = new NpgsqlCommand("insert into nubabel.schema_migrations (number, name, checksum) values ($1, $2, $3)", connection, transaction);
                record.Parameters.Add(new NpgsqlParameter<int> { TypedValue = step.Number });
                record.Parameters.Add(new NpgsqlParameter<string> { TypedValue = step.Name });
                record.Parameters.Add(new NpgsqlParameter<string> { TypedValue = step.Checksum });
                await record.ExecuteNonQueryAsync(ct);
                await transaction.CommitAsync(ct);
            }
            return Compare(await Applied(connection, ct));
        }
        finally
        {
            await Run(connection, null, $"select pg_advisory_unlock({Lock})", CancellationToken.None);
        }
    }

    /// <summary>Refuses a database that this build must not serve.</summary>
    /// <exception cref="SchemaDrift">A step has drifted or is unknown; with <paramref name="complete"/>, also when one is pending.</exception>
    public static void Refuse(IReadOnlyList<MigrationStatus> status, bool complete = false)
    {
        if (status.FirstOrDefault(s => s.State == "drifted") is { } drifted)
            throw new SchemaDrift($"Migration {drifted.Number:0000}_{drifted.Name} was changed after it was applied. Restore its text and put the change into a new migration.");
        if (status.FirstOrDefault(s => s.State == "unknown") is { } unknown)
            throw new SchemaDrift($"Migration {unknown.Number:0000}_{unknown.Name} was applied by a newer build. Run that build, or restore a backup from before it.");
        if (complete && status.FirstOrDefault(s => s.State == "pending") is { } pending)
            throw new SchemaDrift($"Migration {pending.Number:0000}_{pending.Name} is not applied yet. Run: nubabel migrate");
    }

    /// <summary>Gives the serving logins what they need, no more. Repeated at each migration, so that a new login or table gets its grants.</summary>
    public static async Task Grant(NpgsqlDataSource owner, string apiLogin, string daemonLogin, CancellationToken ct)
    {
        string api = new Name(apiLogin).Quoted, daemon = new Name(daemonLogin).Quoted;
        await using var connection = await owner.OpenConnectionAsync(ct);
        // To the end of the transaction: a lock that is given back before the commit lets the next one meet rows that are not there yet.
        await Run(connection, null, $"""
            select pg_advisory_xact_lock({Lock});
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
            grant select on nubabel.signing_keys, nubabel.schema_migrations, nubabel.stamps to {api}, {daemon};
            grant insert, update on nubabel.signing_keys, nubabel.stamps to {daemon};
            grant select, insert, update, delete on nubabel.parked, nubabel.paused, nubabel.orders_applied, nubabel.flag_counts to {daemon};
            grant select, insert, update, delete on nubabel.nodes to {daemon};
            grant select on nubabel.audit_chain, nubabel.audit_heads, nubabel.audit_checkpoints to {api};
            grant select (kid, public, created) on nubabel.audit_keys to {api};
            grant select, insert, update, delete on nubabel.audit_chain, nubabel.audit_heads to {daemon};
            grant select, insert on nubabel.audit_checkpoints, nubabel.audit_keys to {daemon};
            grant select on nubabel.key_uses to {api};
            grant select, insert, update on nubabel.key_uses to {daemon};
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
            grant select, insert, update, delete on nubabel.messages, nubabel.deferred_messages, nubabel.ready_lanes, nubabel.lanes, nubabel.workers, nubabel.message_ids,
              nubabel.dead_letters, nubabel.schedules, nubabel.letter_sweeps to {daemon};
            grant usage, select on sequence nubabel.message_numbers to {api}, {daemon};
            revoke execute on all functions in schema nubabel from public;
            grant execute on all functions in schema nubabel to {api}, {daemon};
            revoke execute on function nubabel.beside_create(text), nubabel.beside_index(text), nubabel.beside_swap(text), nubabel.beside_drop(text), nubabel.version_drop(text, integer, text) from {api};
            grant select on nubabel.rebuilds to {api};
            grant select, insert, update, delete on nubabel.rebuilds to {daemon};
            grant select on all tables in schema read to {api};
            grant select, insert, update, delete, truncate on all tables in schema read to {daemon};
            """, ct);
    }

    private static void RequireNumbered(IReadOnlyList<Step> steps)
    {
        // A number may be left out: it was reserved for a change that needed no step after all.
        for (var i = 1; i < steps.Count; i++)
            if (steps[i].Number <= steps[i - 1].Number) throw new InvalidOperationException($"Migration {steps[i].Number:0000} is there twice.");
    }

    private static List<MigrationStatus> Compare(Dictionary<int, (string Name, string Checksum, DateTimeOffset At)> applied)
    {
        var status = Steps.Select(step => applied.TryGetValue(step.Number, out var a)
            ? new MigrationStatus(step.Number, step.Name, a.Checksum == step.Checksum ? "applied" : "drifted", a.At)
            : new MigrationStatus(step.Number, step.Name, "pending", null)).ToList();
        status.AddRange(applied.Where(a => Steps.All(s => s.Number != a.Key)).OrderBy(a => a.Key).Select(a => new MigrationStatus(a.Key, a.Value.Name, "unknown", a.Value.At)));
        return status;
    }

    private static async Task<Dictionary<int, (string Name, string Checksum, DateTimeOffset At)>> Applied(NpgsqlConnection connection, CancellationToken ct)
    {
        var applied = new Dictionary<int, (string, string, DateTimeOffset)>();
        await using var exists = new NpgsqlCommand("select to_regclass('nubabel.schema_migrations') is not null", connection);
        if (await exists.ExecuteScalarAsync(ct) is not true) return applied;
        await using var command = new NpgsqlCommand("select number, name, checksum, applied from nubabel.schema_migrations order by number", connection);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
            applied[reader.GetInt32(0)] = (reader.GetString(1), reader.GetString(2), new DateTimeOffset(reader.GetDateTime(3), TimeSpan.Zero));
        return applied;
    }

    private static async Task Run(NpgsqlConnection connection, NpgsqlTransaction? transaction, string sql, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(sql, connection, transaction);
        await command.ExecuteNonQueryAsync(ct);
    }

    private static List<Step> Embedded()
    {
        var assembly = Assembly.GetExecutingAssembly();
        var steps = new List<Step>();
        foreach (var resource in assembly.GetManifestResourceNames().Where(n => n.EndsWith(".sql", StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
            // A checkout with other line ends is the same text.
            var text = reader.ReadToEnd().ReplaceLineEndings("\n");
            var file = resource.Split('.')[^2];
            steps.Add(new Step(int.Parse(file.AsSpan(0, 4), provider: null), file[5..], text, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))));
        }
        RequireNumbered(steps);
        return steps;
    }

    private sealed record Step(int Number, string Name, string Text, string Checksum);
}
