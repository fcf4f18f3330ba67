using Microsoft.AspNetCore.Routing;
using Nubabel.Api.Host;
using Nubabel.Domain.Reads;
using Nubabel.Projections;

namespace Nubabel.Api.Reads;

/// <summary>
/// Records that a caller is shown personal data of others: one event a request and organization, committed before the answer leaves. What a request shows it has opened with its
/// own reader, so no route can forget it. When the event cannot be written the request fails, and nothing is shown.
/// </summary>
public sealed class ReadRecord(Node node)
{
    /// <summary>What the caller looks for, in a word: a case's number. It is recorded.</summary>
    public const string PurposeHeader = "Nubabel-Purpose";

    private readonly ReadLanes lanes = new();

    /// <summary>Whether reads are recorded at all. Only a measurement of what that costs turns it off.</summary>
    internal bool IsOn { get; set; } = true;

    /// <summary>Stands around every route: between what its handler returns and the first byte of the answer.</summary>
    public async ValueTask<object?> Invoke(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        // Refused before anything is done: a purpose that is not kept must not look as if it were.
        var purpose = PurposeOf(http);
        var answer = await next(context);
        // HEAD is answered without a body, so nobody has seen anything.
        if (!Edge.IsHead(http)) await Tell(http, purpose, http.RequestAborted);
        return answer;
    }

    /// <summary>Stands around everything: records what an answer has opened while it was written, also when its reader went away on the way.</summary>
    public async Task Rest(HttpContext http, RequestDelegate next)
    {
        try
        {
            await next(http);
        }
        finally
        {
            // What was opened and not sent nobody has seen.
            if (http.Response is { HasStarted: true, StatusCode: < 300 } && !Edge.IsHead(http)) await Tell(http, CancellationToken.None);
        }
    }

    /// <summary>Records what has been opened so far: for an answer that is written while it is read.</summary>
    public Task Tell(HttpContext http, CancellationToken ct) => Tell(http, PurposeOf(http), ct);

    private async Task Tell(HttpContext http, ReadPurpose? purpose, CancellationToken ct)
    {
        var scope = http.RequestServices.GetRequiredService<RequestScope>();
        if (!IsOn || scope.Shown.IsEmpty || !scope.IsSignedIn) return;
        var actor = scope.Caller.Actor;
        foreach (var (tenant, subjects, more) in scope.Shown.TakeOthers(actor.Subject)) await Record(scope, tenant, new RecordRead(OperationOf(http), subjects, more, purpose), ct);
    }

    /// <summary>Records that the caller takes the trail of a tenant away.</summary>
    public async Task Export(HttpContext http, RequestScope scope, string tenant, long upTo, IReadOnlyList<string> filter, CancellationToken ct) =>
        await Record(scope, tenant, new RecordExport(OperationOf(http), upTo, filter, PurposeOf(http)), ct);

    private async Task Record(RequestScope scope, string tenant, Domain.Command<PersonalData> command, CancellationToken ct)
    {
        var actor = scope.Caller.Actor;
        using var lane = lanes.Enter(tenant, actor.Subject);
        // Beside the request: its idempotency key belongs to its command.
        await node.Journal(tenant, scope.Origin(actor, actor.Subject)).Record(Streams.Named<PersonalData>(PersonalData.KeyOf(actor.Subject, lane.Number)), [command], ct);
    }

    private static ReadPurpose? PurposeOf(HttpContext http) =>
        http.Request.Headers[PurposeHeader] is not { Count: > 0 } header ? null
        : header is [{ } text] && ReadPurpose.TryParse(text, out var purpose) ? purpose
        : throw Problem.At(PurposeHeader, "read_purpose.invalid", "A purpose is the number of a case or a keyword: letters, digits and . _ : / # -, 100 at most.");

    /// <summary><c>GET /api/members/{userId}</c>: the route, never what was written into the path.</summary>
    private static string OperationOf(HttpContext http) => $"{http.Request.Method} /{(http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText?.Trim('/')}";
}
