using Nubabel.Api.Host;
using Nubabel.Store;

namespace Nubabel.Api.DataExports;

/// <summary>Deletes the files of exports that have expired. Every node does it; a row is deleted by one of them.</summary>
public sealed partial class ExportExpiry(Node node, Settings settings, ILogger<ExportExpiry> log) : BackgroundService
{
    private static readonly TimeSpan Every = TimeSpan.FromMinutes(5);

    /// <summary>Deletes what has expired by now.</summary>
    public async Task Round(CancellationToken ct)
    {
        while (await SealedFiles.Expire(node.EveryonesWriter, node.Time.GetUtcNow(), ct)) { }
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
            catch (Npgsql.NpgsqlException e)
            {
                Failed(e);
            }
            // A stop is no failure, so it is not thrown: the host would report it as one.
            await Task.Delay(Every, node.Time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "Exports that have expired could not be deleted; the next round tries again.")]
    private partial void Failed(Exception e);
}
