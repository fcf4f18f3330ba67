using Npgsql;
using Nubabel.Api.Commands;
using Nubabel.Api.Host;
using Nubabel.Store;

namespace Nubabel.Api;

/// <summary>What a start waits for, and what it tells whoever looks on.</summary>
public static partial class Server
{
    /// <summary>How long a start waits for a database that does not answer yet.</summary>
    private static readonly TimeSpan DatabaseWait = TimeSpan.FromSeconds(30);

    private static async Task Answering(Database database, CancellationToken ct)
    {
        var until = TimeProvider.System.GetUtcNow() + DatabaseWait;
        while (true)
        {
            try
            {
                await using var connection = await database.Daemon.OpenConnectionAsync(ct);
                return;
            }
            catch (NpgsqlException e) when (Failures.IsDatabaseUnavailable(e) && TimeProvider.System.GetUtcNow() < until)
            {
                await Task.Delay(500, ct);
            }
        }
    }

    private static async Task<string?> FirstOperatorFile(WebApplication app, CancellationToken ct)
    {
        var services = app.Services;
        var settings = services.GetRequiredService<Settings>();
        if (!settings.IsDevelopment) return null;
        return await FirstOperator.Ensure(
            services.GetRequiredService<Node>(), settings, services.GetRequiredService<SignIns>(), services.GetRequiredService<Passwords>(), ct);
    }

    private static void Announce(WebApplication app, string? operatorFile)
    {
        // For a person at a terminal; elsewhere standard output holds log lines alone.
        if (operatorFile is null) return;
        var address = app.Urls.First();
        Console.WriteLine($"Address:  {address}");
        Console.WriteLine($"Operator: {operatorFile}");
        Console.WriteLine($"API page: {address}/docs");
    }
}
