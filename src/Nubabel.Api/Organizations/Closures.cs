using Npgsql;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Projections;
using Nubabel.Projections.Organizations;
using Nubabel.Store;

namespace Nubabel.Api.Organizations;

/// <summary>
/// Carries out the closures whose time has come. From that time on nobody gets in anyway; this records it. Every node does it, and none needs to know
/// of the others: the list only says where to look, and the decision on the stream closes an organization once, or not at all if it has been taken back.
/// </summary>
public sealed partial class Closures(Node node, Settings settings, ILogger<Closures> log) : BackgroundService
{
    private const int MostAtOnce = 100;
    private static readonly TimeSpan Every = TimeSpan.FromMinutes(1);

    /// <summary>Closes what is due now.</summary>
    /// <returns>How many organizations this call has closed.</returns>
    public async Task<int> Round(CancellationToken ct)
    {
        var closed = 0;
        foreach (var id in await OrganizationList.Due(node.Reader(Node.Platform), node.Time.GetUtcNow(), MostAtOnce, ct))
        {
            try
            {
                closed += (await node.Journal(id.ToString(), new Origin(Actor.System("closures").ToString())).Handle(id, new CloseOrganization(), ct)).Appended;
            }
            catch (Exception e) when (e is not (NpgsqlException or OperationCanceledException))
            {
                // The next round meets it again; the others do not wait for it. Without a database there is nothing to go on with.
                Left(e, id.ToString());
            }
        }
        return closed;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!settings.DaemonEnabled) return;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await Round(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (NpgsqlException e)
            {
                Failed(e);
            }
            // A stop is no failure, so it is not thrown: the host would report it as one.
            await Task.Delay(Every, node.Time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "Organization {Organization} was not closed; the next round tries again.")]
    private partial void Left(Exception e, string organization);

    [LoggerMessage(2, LogLevel.Warning, "Due closures could not be read; the next round tries again.")]
    private partial void Failed(Exception e);
}
