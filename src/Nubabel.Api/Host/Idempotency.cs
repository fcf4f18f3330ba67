using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.Metadata;
using Nubabel.Domain;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>
/// The <c>Idempotency-Key</c> of commands. The first request writes a record in its command's own transaction; whoever comes with the same key is
/// answered from it: the endpoint runs again, but its commands are answered from the streams as they stood, so status, body, <c>ETag</c> and
/// <c>Location</c> are those of the first answer. Answers that hold secrets are kept sealed instead. Requests at the same time wait for each other, in this
/// process at a gate, across nodes at the record.
/// </summary>
public sealed class Idempotency(Node node)
{
    /// <summary>How long a key is remembered.</summary>
    public const int Hours = 24;

    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(25);
    private readonly Dictionary<(string Tenant, string Scope, string Key), Gate> gates = [];
    private readonly AnswerSeal seal = new(node.Root);
    private readonly byte[] bodyKey = node.Root.Derive("idempotent-body");

    public async Task Invoke(HttpContext context, RequestDelegate next)
    {
        var request = context.Request;
        if (HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method) || context.GetEndpoint()?.Metadata.GetMetadata<SignedRoute>() is not null || IdempotencyKeys.Of(request) is not { } key)
        {
            await next(context);
            return;
        }
        var scope = context.RequestServices.GetRequiredService<RequestScope>();
        var tenant = scope.IsSignedIn ? scope.Caller.Tenant : Node.Platform;
        var actor = scope.IsSignedIn ? scope.Caller.Actor.ToString() : "anonymous";
        var body = await RawBody.Read(context);
        // Keyed: a body may hold a password, and a bare hash in the database would let it be guessed fast.
        var hash = HMACSHA256.HashData(bodyKey, body.Bytes.Span);
        var record = new IdempotencyRecord(tenant, $"{actor} {request.Method} {PathOf(request)}", key, hash, StatusOf(context)) { Created = node.Time.GetUtcNow() };
        var place = (tenant, record.Scope, key);
        var gate = Enter(place);
        try
        {
            if (!await gate.Turn.WaitAsync(LongestWait, context.RequestAborted))
                throw Problem.RetryLater("idempotency.in_progress", "A request with this key is still being handled.", 1);
            try
            {
                await Handle(context, next, scope, record);
            }
            finally
            {
                gate.Turn.Release();
            }
        }
        finally
        {
            Leave(place, gate);
        }
    }

    // One route, one spelling: the router does not mind cases and a slash at the end.
    private static string PathOf(HttpRequest request) => (request.Path.Value ?? "").TrimEnd('/').ToLowerInvariant();

    private Gate Enter((string, string, string) place)
    {
        lock (gates)
        {
            if (!gates.TryGetValue(place, out var gate)) gates[place] = gate = new Gate();
            gate.Inside++;
            return gate;
        }
    }

    // Whoever leaves last takes the gate down, so there are never more of them than requests.
    private void Leave((string, string, string) place, Gate gate)
    {
        lock (gates)
        {
            if (--gate.Inside > 0) return;
            gates.Remove(place);
        }
        gate.Turn.Dispose();
    }

    private async Task Handle(HttpContext context, RequestDelegate next, RequestScope scope, IdempotencyRecord record)
    {
        if (await Find(record, context.RequestAborted) is { } first)
        {
            await Repeat(context, next, scope, record, first);
            return;
        }
        scope.Once = record;
        try
        {
            await next(context);
        }
        catch (RepeatedCommand)
        {
            // Another node was faster by less than its commit.
            var known = await Find(record, context.RequestAborted) ?? throw Problem.RetryLater("idempotency.in_progress", "A request with this key is still being handled.", 1);
            await Repeat(context, next, scope, record, known);
        }
        catch (Exception e) when (e is Refused or VersionMismatch or Problem)
        {
            // The refusal may come from what the same request did on another node a moment ago: a deleted device cannot be deleted.
            if (await Find(record, context.RequestAborted) is not { } known) throw;
            await Repeat(context, next, scope, record, known);
        }
    }

    private Task<IdempotencyRecord?> Find(IdempotencyRecord record, CancellationToken ct) =>
        IdempotencyRecord.Find(node.Database.Api, record.Tenant, record.Scope, record.Key, Hours, ct);

    private async Task Repeat(HttpContext context, RequestDelegate next, RequestScope scope, IdempotencyRecord record, IdempotencyRecord first)
    {
        if (!first.RequestHash.AsSpan().SequenceEqual(record.RequestHash))
            throw new Problem("idempotency.mismatch", "This key was used with another body.");
        if (first.Answer is null)
        {
            scope.Answer(first);
            await next(context);
            return;
        }
        var (tenant, body) = seal.Open(first);
        var journal = node.Journal(tenant, new Origin("system:idempotency"));
        var streams = await journal.Read([.. first.Versions.Keys], s => new Until(Version: first.Versions[s]), context.RequestAborted);
        context.Response.StatusCode = first.Status;
        var last = streams.Values.Max(events => events.Count == 0 ? 0 : events[^1].Position);
        context.Response.Headers[Positions.Header] = Positions.Format(node.Database.Shard, last);
        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "no-store";
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    // The record is written before the answer is; what the route says it answers on success is what it will be.
    private static int StatusOf(HttpContext context) =>
        context.GetEndpoint()?.Metadata.GetOrderedMetadata<IProducesResponseTypeMetadata>().Select(m => m.StatusCode).FirstOrDefault(s => s is >= 200 and < 300) is { } status and > 0
            ? status
            : StatusCodes.Status200OK;

    private sealed class Gate
    {
        public SemaphoreSlim Turn { get; } = new(1);

        /// <summary>Requests that hold the gate or wait at it; counted under the lock of all gates.</summary>
        public int Inside { get; set; }
    }
}

/// <summary>Keeps an answer that holds secrets in its idempotency record, readable for the nodes alone.</summary>
public sealed class AnswerSeal(RootKey root)
{
    private const string Use = "idempotent-answer";

    /// <summary>The record with the answer in it.</summary>
    /// <param name="tenant">Whose streams the answer came from: for an anonymous route the record itself is the platform's.</param>
    public IdempotencyRecord Into(IdempotencyRecord record, string tenant, ReadOnlySpan<byte> body)
    {
        var text = new ArrayBufferWriter<byte>(body.Length + 64);
        text.Write(Encoding.ASCII.GetBytes(tenant + "\n"));
        text.Write(body);
        return record with { Answer = root.Wrap(Use, ContextOf(record), text.WrittenSpan) };
    }

    /// <exception cref="System.Security.Cryptography.CryptographicException">Sealed under another root, or for another record.</exception>
    public (string Tenant, ReadOnlyMemory<byte> Body) Open(IdempotencyRecord record)
    {
        var plain = root.Unwrap(Use, ContextOf(record), record.Answer);
        var end = plain.AsSpan().IndexOf((byte)'\n');
        return (Encoding.ASCII.GetString(plain, 0, end), plain.AsMemory(end + 1));
    }

    private static string ContextOf(IdempotencyRecord record) => $"{record.Tenant}\n{record.Scope}\n{record.Key}";
}
