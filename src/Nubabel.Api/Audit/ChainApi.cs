using System.Globalization;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Host.Tokens;
using Nubabel.Projections;
using Nubabel.Projections.Audit;
using Nubabel.Store;

namespace Nubabel.Api.Audit;

/// <summary>The audit chain of the caller's organization: what was signed, by which keys, and proofs of single events.</summary>
public static class ChainApi
{
    private const string Statement = "eyJhbGciOiJFUzI1NiIsInR5cCI6Im51YmFiZWwtY2hlY2twb2ludCtqd3QiLCJraWQiOiJrMSJ9.eyJzdWIiOiLigKYifQ.c2lnbmF0dXJl";

    public static void MapChain(this IEndpointRouteBuilder app)
    {
        var logs = app.MapGroup("/api/audit-logs").WithTags("Audit");
        logs.MapGet("/checkpoints", Checkpoints).Needs("audit:read").Paged<KeptCheckpoint>()
            .WithExample(response: $$"""{"items":[{"entries":1000,"position":4711,"created":"2026-11-21T08:20:11.00421Z","statement":"{{Statement}}"}],"next":null}""");
        logs.MapGet("/chain", Chain).Needs("audit:read").Answers200<ChainState>()
            .WithExample(response: $$"""
                {"entries":1042,"position":4805,"link":"0d7c1b2a9f8e4d6c5b3a2f1e0d9c8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e2d1c","checkpoint":{"entries":1000,"position":4711,"created":"2026-11-21T08:20:11.00421Z","statement":"{{Statement}}"}
                }
                """);
        logs.MapGet("/keys", Keys).Needs("audit:read").Answers200<JwkSet>()
            .WithExample(response: """
                {"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"k1","use":"sig","alg":"ES256"}]}
                """);
        logs.MapGet("/proof", Proof).Needs("audit:read").Answers200<ChainProof>()
            .WithExample(response: $$"""
                {"entry":42,"event":{"position":4711,"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e56","tenant":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","stream":"device-01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55",
                "version":1,"type":"device_registered","at":1763712800123456,"actor":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","data":"{\"name\": \"phone\"}","headers":null,"withheld":false},
                "before":"b28cc74ce0cbc6c2d96f79292280f3b172f9983d0edb5a3ced207d15b0c9e9a8","digests":["b7e7e9f3675b6bf7d3814afdb1223bbd82ef9adaa32c9893c35deb6c970eea33"],
                "link":"0d7c1b2a9f8e4d6c5b3a2f1e0d9c8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e2d1c","checkpoint":"{{Statement}}"}
                """);
    }

    private static async Task<IResult> Checkpoints(Paging page, Reader db, CancellationToken ct) =>
        page.Answer(Page.Cut(await ChainProof.Checkpoints(db, page.After, page.Limit, ct), page.Limit, c => JsonSerializer.SerializeToUtf8Bytes(c, Json.Options), c => [c.Entries.ToString(CultureInfo.InvariantCulture)]));

    private static Task<ChainState> Chain(Reader db, CancellationToken ct) => ChainProof.State(db, ct);

    private static async Task<IResult> Keys(Node node, CancellationToken ct) => Results.Text((await ChainKeys.Published(node.Database.Api, ct)).ToJsonString(), "application/json");

    private static async Task<ChainProof> Proof(string position, Reader db, CancellationToken ct) =>
        !long.TryParse(position, NumberStyles.None, CultureInfo.InvariantCulture, out var at) ? throw Problem.At("position", "query.invalid", "A position is a whole number, as the entries of the audit trail have it.")
        : await ChainProof.Of(db, at, ct) ?? throw new Problem("audit.entry_missing", "The organization has no chained event at this position. An event is chained some seconds after it was written.");
}
