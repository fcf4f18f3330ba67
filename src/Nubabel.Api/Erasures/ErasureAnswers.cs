using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Erasures;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;
using Positions = Nubabel.Api.Host.Positions;

namespace Nubabel.Api.Erasures;

/// <summary>The answer to who wants an erasure: it is carried to its end before it is given.</summary>
public sealed class ErasureAnswers(Node node, Erasures erasures, Receipts receipts)
{
    private const string Done = """
        {"id":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","organizationId":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","state":"completed","requestedAt":"2026-11-21T08:14:00Z",
        "completedAt":"2026-11-21T08:14:01Z","erased":{"keys":2,"files":1,"answers":0,"devices":2,"records":4,"messages":1,"sessions":9},
        """;

    private const string Code = "nbe.01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081.01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50.bm90LWEtcmVhbC1zZWNyZXQtYnV0LTQzLWNoYXJhY3RlcnM";
    private const string Statement = "eyJhbGciOiJFUzI1NiIsInR5cCI6Im51YmFiZWwtZXJhc3VyZStqd3QiLCJraWQiOiJrMSJ9.eyJzdWIiOiLigKYifQ.c2lnbmF0dXJl";

    /// <summary>For the document.</summary>
    internal const string Example = $$"""{{Done}}"code":"{{Code}}","statement":"{{Statement}}"}""";

    /// <summary>The same, for who only asks.</summary>
    internal const string Asked = $$"""{{Done}}"statement":"{{Statement}}"}""";

    /// <summary>Carries it to its end: 200 with the receipt. Where something is in the way it is 202 with what was begun, and the message goes on.</summary>
    internal async Task<IResult> Carried(Outcome<Erasure> erasure, string tenant, HttpContext http, CancellationToken ct)
    {
        try
        {
            erasure = await erasures.Run(tenant, new Id<User>(erasure.Id.Value), ct);
        }
        catch (Exception later) when (later is LedgerFault or Refused || Failures.IsDatabaseUnavailable(later) || (later is OperationCanceledException && !http.RequestAborted.IsCancellationRequested))
        {
            // It is begun, and nobody gets in with the account any more.
        }
        http.Response.Headers[Positions.Header] = Positions.Format(node.Database.Shard, erasure.Position);
        http.Response.Headers.CacheControl = "no-store";
        var status = erasure.State.Status == ErasureStatus.Completed ? StatusCodes.Status200OK : StatusCodes.Status202Accepted;
        return Results.Json(await receipts.Of(tenant, erasure, withCode: true, ct), Json.Options, statusCode: status);
    }
}
