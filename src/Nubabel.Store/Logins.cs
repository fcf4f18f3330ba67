using Npgsql;

namespace Nubabel.Store;

/// <summary>A login has more or less power than its role in the safety of tenants allows; the message says which and what to do.</summary>
public sealed class LoginRefused(string message) : Exception(message);

/// <summary>Checks the logins at start: row-level security is only a lock when the api login has no key to it.</summary>
public static class Logins
{
    /// <exception cref="LoginRefused">
    /// The api login is a superuser, bypasses row-level security, owns a table, or can make itself one that does; or the daemon login does not bypass it.
    /// </exception>
    public static async Task Check(Database database, CancellationToken ct)
    {
        var api = await Read(database.Api, ct);
        if (api.Superuser) throw new LoginRefused($"The login {api.Name} (ConnectionStrings:Nubabel) is a superuser. Give the API a login of its own without SUPERUSER.");
        if (api.Bypasses) throw new LoginRefused($"The login {api.Name} (ConnectionStrings:Nubabel) has BYPASSRLS. Give the API a login without it.");
        if (api.Owns) throw new LoginRefused($"The login {api.Name} (ConnectionStrings:Nubabel) owns, or may act as the owner of, Nubabel's tables. Use the owner's login for migrations only.");
        if (api.Extends) throw new LoginRefused($"The login {api.Name} (ConnectionStrings:Nubabel) has CREATEROLE or REPLICATION, which lead around row-level security. Give the API a login without them.");
        var daemon = await Read(database.Daemon, ct);
        if (!daemon.Superuser && !daemon.Bypasses)
            throw new LoginRefused($"The login {daemon.Name} (ConnectionStrings:NubabelDaemon) needs BYPASSRLS to project all tenants' events.");
    }

    private static async Task<(string Name, bool Superuser, bool Bypasses, bool Owns, bool Extends)> Read(NpgsqlDataSource source, CancellationToken ct)
    {
        // Membership counts as power: a member of a bypassing or owning role can SET ROLE to it.
        await using var command = source.CreateCommand("""
            select current_user::text,
                   exists (select from pg_roles r where r.rolsuper and pg_has_role(current_user, r.oid, 'member')),
                   exists (select from pg_roles r where r.rolbypassrls and pg_has_role(current_user, r.oid, 'member')),
                   exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                            where n.nspname in ('events', 'nubabel', 'read') and pg_has_role(current_user, c.relowner, 'member')),
                   exists (select from pg_roles r where (r.rolcreaterole or r.rolreplication) and pg_has_role(current_user, r.oid, 'member'))
            """);
        await using var reader = await command.ExecuteReaderAsync(ct);
        await reader.ReadAsync(ct);
        return (reader.GetString(0), reader.GetBoolean(1), reader.GetBoolean(2), reader.GetBoolean(3), reader.GetBoolean(4));
    }
}
