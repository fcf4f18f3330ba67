using Npgsql;

namespace Nubabel.Store;

/// <summary>A rebuild as one call: ordered, worked on in this process unless another one does already, and awaited.</summary>
public static class Rebuild
{
    /// <param name="daemon">The daemon login's data source.</param>
    /// <param name="connectionString">The same login's connection string.</param>
    /// <param name="name">The read model's name.</param>
    /// <param name="progress">Told a few times a second.</param>
    /// <exception cref="RebuildRefused">There is no such read model.</exception>
    /// <exception cref="RebuildRunning">One is under way.</exception>
    public static async Task<RebuildStatus> Run(NpgsqlDataSource daemon, string connectionString, ProjectionSet projections, string name, Action<RebuildStatus> progress, CancellationToken ct,
        bool force = false, RebuildOptions? options = null)
    {
        await using var rebuilds = new Rebuilds(daemon, connectionString, projections, options: options);
        await rebuilds.Order(name, force, by: null, ct);
        return await rebuilds.Follow(name, progress, ct);
    }
}
