using Npgsql;
using Nubabel.Store;

namespace Nubabel.Projections;

/// <summary>The whole schema: the engine's steps, then the tables of the read models, then the grants of the serving logins.</summary>
public static class Schema
{
    /// <summary>Brings the database to what this build needs. Safe to repeat, and for several nodes at once.</summary>
    /// <exception cref="SchemaDrift">The database has been changed or is newer; the message names the step.</exception>
    public static async Task<IReadOnlyList<MigrationStatus>> Migrate(NpgsqlDataSource owner, string apiLogin, string daemonLogin, CancellationToken ct)
    {
        var status = await Migrations.Apply(owner, ct);
        await Migrations.Grant(owner, apiLogin, daemonLogin, ct);
        await ReadTables.Ensure(owner, ReadModels.All, apiLogin, daemonLogin, ct);
        return status;
    }
}
