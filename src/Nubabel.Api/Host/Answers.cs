using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>
/// The answers that all slices give: the row that a read model makes of the stream, with the stream's version as <c>ETag</c> and its last position.
/// </summary>
public sealed class Answers(Node node, RequestScope scope, Freshness fresh)
{
    /// <summary>201 with the resource.</summary>
    /// <param name="db">Whose keys open the row; the caller's tenant's unless an operator looks into another.</param>
    public Task<IResult> Created<T, TRow>(Outcome<T> outcome, TRow? row, string location, CancellationToken ct, Reader? db = null)
        where T : IAggregate<T> where TRow : class => Resource(StatusCodes.Status201Created, outcome, row, location, db, ct);

    /// <summary>200 with the resource after a change.</summary>
    public Task<IResult> Changed<T, TRow>(Outcome<T> outcome, TRow? row, CancellationToken ct, Reader? db = null)
        where T : IAggregate<T> where TRow : class => Resource(StatusCodes.Status200OK, outcome, row, null, db, ct);

    /// <summary>204 after a change that leaves nothing to show.</summary>
    public IResult Gone<T>(Outcome<T> outcome) where T : IAggregate<T> => new Bytes(StatusCodes.Status204NoContent, default, null, null, outcome.Position, node);

    /// <summary>202 after an order that is carried out soon.</summary>
    public IResult Accepted<T>(Outcome<T> outcome) where T : IAggregate<T> => new Bytes(StatusCodes.Status202Accepted, default, null, null, outcome.Position, node);

    /// <summary>200 with what was done, where that is no resource.</summary>
    public IResult Told<T>(T told, long position) =>
        new Bytes(StatusCodes.Status200OK, JsonSerializer.SerializeToUtf8Bytes(told, Json.Options), null, null, position > 0 ? position : null, node);

    /// <summary>200 with the resource as it is, 304 where the caller has it, or the refusal where there is none.</summary>
    public async Task<IResult> Found<T, TRow>(HttpContext http, Outcome<T> loaded, TRow? row, Refused missing, CancellationToken ct, Reader? db = null)
        where T : IAggregate<T> where TRow : class
    {
        await fresh.OfLog(ct);
        if (row is null) throw missing;
        if (ETags.IsKnown(http, loaded.Version)) return new Bytes(StatusCodes.Status304NotModified, default, loaded.Version, null, null, node);
        return new Bytes(StatusCodes.Status200OK, await Render(row, ct, db), loaded.Version, null, null, node);
    }

    /// <summary>The same of a resource that can be asked for as it was (<see cref="At"/>).</summary>
    /// <param name="row">What the stream shows; null for nothing.</param>
    /// <exception cref="Problem">It did not exist yet.</exception>
    public async Task<IResult> Found<T, TRow>(HttpContext http, Outcome<T> now, At at, Func<Outcome<T>, TRow?> row, Refused missing, CancellationToken ct)
        where T : IAggregate<T> where TRow : class
    {
        var then = await at.Of(now, ct);
        if (at.Until is null || now.Version == 0) return await Found(http, then, row(then), missing, ct);
        // Who may read it now may read what it was. What is there no more is shown only to those who read it in the audit trail too.
        if (row(now) is null && !scope.Caller.May(scope.Caller.Realm == Realm.Platform ? "platform:audit" : "audit:read")) throw missing;
        if (then.Version == 0) throw new Problem("resource.not_yet", "It did not exist yet at that time.");
        return await Found(http, then, row(then), missing, ct);
    }

    /// <summary>A row as it goes out, its personal values opened.</summary>
    public ValueTask<ReadOnlyMemory<byte>> Render<TRow>(TRow row, CancellationToken ct, Reader? db = null) =>
        (db ?? scope.Reader).Open(JsonSerializer.SerializeToUtf8Bytes(row, StoredJson.Options), ct);

    private async Task<IResult> Resource<T, TRow>(int status, Outcome<T> outcome, TRow? row, string? location, Reader? db, CancellationToken ct)
        where T : IAggregate<T> where TRow : class
    {
        if (row is null) throw new InvalidOperationException($"{typeof(TRow).Name} shows nothing after a change.");
        var body = await Render(row, ct, db);
        // Of a new one the caller has sent all that is shown. Who changed an older one, and whose it is, the change's own event says.
        if (outcome.Appended > 0 && outcome.Appended == outcome.Version) scope.Shown.Forget();
        else if (outcome.Appended > 0) scope.Shown.IsTold((db ?? scope.Reader).Tenant, outcome.Stream.Value);
        return new Bytes(status, body, outcome.Version, location, outcome.Position, node);
    }

    private sealed class Bytes(int status, ReadOnlyMemory<byte> body, long? version, string? location, long? position, Node node) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            var response = httpContext.Response;
            response.StatusCode = status;
            if (version is { } v) response.Headers.ETag = ETags.Of(v);
            if (location is not null) response.Headers.Location = location;
            if (position is { } p) response.Headers[Positions.Header] = Positions.Format(node.Database.Shard, p);
            if (status is StatusCodes.Status202Accepted or StatusCodes.Status204NoContent or StatusCodes.Status304NotModified) return;
            response.ContentType = "application/json";
            response.ContentLength = body.Length;
            await response.Body.WriteAsync(body, httpContext.RequestAborted);
        }
    }
}
