using System.Diagnostics.Metrics;
using Npgsql;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Projections.Breaches;

namespace Nubabel.Api.Breaches;

/// <summary>
/// Watches the 72 hours of open breaches, and raises the alarm once when a day is left, once when half a day is left, and once when they are over: an entry in the log with the event
/// <c>breaches.due</c> or <c>breaches.overdue</c>. Each process watches for itself, by the database's clock, so that one whose own clock is wrong is not early or late. It is
/// not in <c>/health</c>, which anybody can read.
/// </summary>
public sealed partial class BreachWatch : BackgroundService
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(30);

    private readonly Node node;
    private readonly ILogger<BreachWatch> log;
    private readonly Meter meter = new("Nubabel.Breaches");
    private readonly Dictionary<Id<Breach>, int> raised = [];
    private volatile IReadOnlyList<BreachClock> last = [];

    public BreachWatch(Node node, ILogger<BreachWatch> log)
    {
        (this.node, this.log) = (node, log);
        meter.CreateObservableGauge(
            "nubabel.breaches.open", () => Enum.GetValues<BreachClockState>().Select(state => new Measurement<long>(
                last.Count(clock => clock.State == state), new KeyValuePair<string, object?>("clock", state.ToString().ToLowerInvariant()))), "{breach}", "Open breaches, by how their 72 hours stand.");
        meter.CreateObservableGauge("nubabel.breaches.remaining", () => last.Min(clock => clock.RemainingSeconds) is { } least ? new Measurement<long>[] { new(least) } : [],
            "s", "Until the next breach has to be reported; below 0 when it should have been. Nothing while no clock runs.");
    }

    /// <summary>Looks once, and raises the alarm for what has come nearer since the last look.</summary>
    public async Task<IReadOnlyList<BreachClock>> Look(CancellationToken ct)
    {
        var open = (await BreachList.Open(node.Reader(Node.Platform), ct)).Select(b => (b.Row.Id, Clock: BreachClock.Of(b.Row.State, b.Now))).ToArray();
        foreach (var (id, clock) in open)
        {
            var level = LevelOf(clock);
            var before = raised.GetValueOrDefault(id);
            // It falls when the breach is amended; from there it may rise again.
            raised[id] = level;
            if (level <= before) continue;
            if (level == 3) IsOverdue(log, id.ToString(), clock.Deadline);
            else IsDue(log, id.ToString(), level == 2 ? BreachClock.VerySoon.Hours : BreachClock.Soon.TotalHours, clock.Deadline);
        }
        foreach (var gone in raised.Keys.Except(open.Select(o => o.Id)).ToArray()) raised.Remove(gone);
        return last = [.. open.Select(o => o.Clock)];
    }

    public override void Dispose()
    {
        meter.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await Look(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException)
            {
                Blind(log, e);
            }
            // A stop is no failure, so it is not thrown: the host would report it as one.
            await Task.Delay(Every, TimeProvider.System, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static int LevelOf(BreachClock clock) => clock.State switch
    {
        BreachClockState.Overdue => 3,
        BreachClockState.DueSoon => clock.RemainingSeconds <= BreachClock.VerySoon.TotalSeconds ? 2 : 1,
        _ => 0,
    };

    [LoggerMessage(3201, LogLevel.Error, "Breach {Breach} has to be reported within {Hours} hours: until {Deadline:O}.", EventName = "breaches.due")]
    private static partial void IsDue(ILogger log, string breach, double hours, DateTimeOffset deadline);

    [LoggerMessage(3202, LogLevel.Critical, "Breach {Breach} should have been reported by {Deadline:O}. A report now says why it is late.", EventName = "breaches.overdue")]
    private static partial void IsOverdue(ILogger log, string breach, DateTimeOffset deadline);

    [LoggerMessage(3203, LogLevel.Warning, "The register of breaches could not be read; the next look tries again.", EventName = "breaches.blind")]
    private static partial void Blind(ILogger log, Exception e);
}
