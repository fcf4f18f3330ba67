using System.Collections.Concurrent;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Attempts;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Attempts;

/// <summary>
/// Records what callers were refused: a permission that is denied on any method, and a command that a decision or a claim refuses. The first of its kind in
/// a minute is appended before the answer goes out; the same again is counted and appended as one event when the minute ends, so that a flood of
/// refusals is a handful of events. The answer never depends on it. Each node counts by itself.
/// </summary>
public sealed partial class RefusedAttempts(Node node, ILogger<RefusedAttempts> log) : BackgroundService
{
    /// <summary>Actors whose minutes a node keeps at once.</summary>
    public const int MostActors = 5_000;

    public static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    /// <summary>How long an answer waits for the record of its refusal.</summary>
    private static readonly TimeSpan LongestAppend = TimeSpan.FromSeconds(1);

    /// <summary>How long a stopping node tries to write what it has counted.</summary>
    private static readonly TimeSpan LongestStop = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<(string Tenant, Actor Actor), AttemptMinute> minutes = new();
    private long failed;

    /// <summary>Attempts whose first record failed, or that found no room.</summary>
    public long Failed => Interlocked.Read(ref failed);

    public async Task Invoke(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
        }
        catch (Exception e) when (e is Refused or Problem { Code: "permission.denied" })
        {
            await Note(context, e);
            throw;
        }
    }

    /// <summary>Writes what has been counted in minutes that are over; with <paramref name="all"/> also of those that are not.</summary>
    public async Task Flush(bool all, CancellationToken ct)
    {
        foreach (var (whose, minute) in minutes)
        {
            if (!all && node.Time.GetUtcNow() < minute.Ends) continue;
            // Over first, so that whoever comes meanwhile begins another and is told at once.
            var counted = minute.End();
            minutes.TryRemove(new(whose, minute));
            if (counted is null) continue;
            var commands = counted.Refusals.Select(r => r.Refusal.Told(r.Count, null));
            if (counted.Overflow > 0) commands = commands.Append(new RecordOverflow(counted.Overflow));
            try
            {
                await Append(whose.Tenant, counted.Origin, [.. commands], ct);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                NotWritten(e, whose, counted);
            }
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        using var until = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        until.CancelAfter(LongestStop);
        await Flush(all: true, until.Token);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            // A stop is no failure, so it is not thrown: the host would report it as one.
            await Task.Delay(Look, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            // Not cut off by a stop: what is being written goes on to its end.
            await Flush(all: false, CancellationToken.None);
        }
    }

    private async Task Note(HttpContext context, Exception refused)
    {
        var scope = context.RequestServices.GetRequiredService<RequestScope>();
        if (!scope.IsSignedIn || context.GetEndpoint() is not RouteEndpoint endpoint) return;
        var method = context.Request.Method;
        if (refused is Refused && HttpMethods.IsGet(method)) return;
        var operation = $"{method} /{endpoint.RoutePattern.RawText?.Trim('/')}";
        var refusal = refused is Refused { Code: var code }
            ? new Refusal(operation, code, IsDenied: false)
            : new Refusal(operation, ((Problem)refused).Members.GetValueOrDefault("required") as string ?? "", IsDenied: true);
        var (tenant, actor) = (scope.Caller.Tenant, scope.Caller.Actor);
        var origin = scope.Origin(actor, actor.Subject);
        if (!IsFirst((tenant, actor), refusal, origin)) return;
        try
        {
            // The caller does not end this by going away, and does not wait for a database that hangs.
            using var until = new CancellationTokenSource(LongestAppend);
            await Append(tenant, origin, [refusal.Told(1, Named(context, endpoint))], until.Token).WaitAsync(LongestAppend);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            NotWritten(e, (tenant, actor), new Counted(origin, [(refusal, 1)], 0));
        }
    }

    /// <summary>Whether this is to be told at once; otherwise it is counted, or there is no room for one more caller.</summary>
    private bool IsFirst((string Tenant, Actor Actor) whose, Refusal refusal, Origin origin)
    {
        while (true)
        {
            if (!minutes.ContainsKey(whose) && minutes.Count >= MostActors)
            {
                Crowded(log, MostActors, Interlocked.Increment(ref failed));
                return false;
            }
            var minute = Minute(whose);
            if (minute.Take(refusal, origin) is { } isFirst) return isFirst;
            // It ended just now.
            minutes.TryRemove(new(whose, minute));
        }
    }

    private AttemptMinute Minute((string, Actor) whose) => minutes.GetOrAdd(whose, _ => new AttemptMinute(node.Time.GetUtcNow() + Window));

    private async Task Append(string tenant, Origin origin, IReadOnlyList<Command<Attempt>> commands, CancellationToken ct)
    {
        var stream = Streams.Named<Attempt>(origin.Subject!);
        try
        {
            await node.Journal(tenant, origin).Record(stream, commands, ct);
        }
        catch (SubjectErased)
        {
            // The actor was erased within the minute: what was refused is told, and no more from where.
            await node.Journal(tenant, origin with { Subject = null }).Record(stream, commands, ct);
        }
    }

    /// <summary>The id in the path, where it is one: anything else that stands there was written by the caller and is not kept.</summary>
    private static string? Named(HttpContext context, RouteEndpoint endpoint) =>
        endpoint.RoutePattern.Parameters.Select(p => context.Request.RouteValues[p.Name] as string).FirstOrDefault(text => Id<object>.TryParse(text, null, out _));

    /// <summary>Told with the next minute; where the outcome of this attempt was not known, perhaps twice, which is better than not at all.</summary>
    private void NotWritten(Exception e, (string, Actor) whose, Counted counted)
    {
        while (!Minute(whose).TryTakeBack(counted)) minutes.TryRemove(whose, out _);
        Unwritten(log, e, Interlocked.Increment(ref failed));
    }

    [LoggerMessage(1, LogLevel.Warning, "What a caller was refused could not be recorded yet ({Failed} times since the start)")]
    private static partial void Unwritten(ILogger log, Exception e, long failed);

    [LoggerMessage(2, LogLevel.Warning, "More than {Most} callers were refused within a minute; what this one was refused is not recorded ({Failed} times since the start)")]
    private static partial void Crowded(ILogger log, int most, long failed);
}
