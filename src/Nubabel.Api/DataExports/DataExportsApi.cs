using System.Globalization;
using Nubabel.Api.Flags;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Jobs;
using Nubabel.Domain;
using Nubabel.Domain.DataExports;
using Nubabel.Projections;
using Nubabel.Projections.Audit;
using Nubabel.Projections.DataExports;
using Nubabel.Projections.Devices;
using Nubabel.Projections.Jobs;
using Nubabel.Projections.Sessions;
using Nubabel.Projections.Users;
using Nubabel.Store;

namespace Nubabel.Api.DataExports;

/// <summary>
/// What is held on the user who calls, at once or as a bundle; for an owner what is held in the whole organization. Each is recorded: that it was asked for, made,
/// downloaded, deleted.
/// </summary>
public static class DataExportsApi
{
    private static readonly OneAtATime place = new("data_export.busy", "The last export is still being read.");

    private const string Example = """
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","bytes":18211,"owner":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","scope":"user","madeAt":"2026-11-21T08:15:33.4Z",
        "sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","downloads":0,"expiresAt":"2026-11-28T08:15:33.4Z"}
        """;

    private const string Document = """
        {"format":"nubabel-data-export","version":1,"scope":"user","organizationId":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","userId":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","madeAt":"2026-11-21T08:15:33.4Z",
        "position":"main-42","profile":{"id":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","name":"Ada Lovelace","role":"owner","email":"ada@example.com","status":"active","registeredAt":"2026-11-21T08:14:00Z"},
        "sessions":[],"devices":[],"jobs":[],"dataExports":[],"messages":[],"flags":[],"auditTrail":[]}
        """;

    public static void MapDataExports(this IEndpointRouteBuilder app)
    {
        app.MapGet("/api/user/data-export", Read).WithTags("Data exports").Needs("user:export").Produces<ExportDocument>().WithExample(response: Document).DisableRequestTimeout();
        Map(app.MapGroup("/api/user/data-exports"), ExportScope.User, ExportBundles.OfUser);
        Map(app.MapGroup("/api/organization/data-exports"), ExportScope.Organization, ExportBundles.OfOrganization);
    }

    private static void Map(RouteGroupBuilder exports, ExportScope scope, JobDefinition<BundleRequest> definition)
    {
        var (permission, name) = (definition.Permission, scope.ToString());
        exports.WithTags("Data exports");
        exports.MapPost("", (Caller caller, Reader db, JobStarts jobs, RequestScope request, TimeProvider time, CancellationToken ct) => Start(scope, definition, caller, db, jobs, request, time, ct))
            .Starts(definition).WithName($"Start{name}Export").WithExample(response: JobView.Example);
        exports.MapGet("", (Paging page, Caller caller, Reader db, Freshness fresh, TimeProvider time, CancellationToken ct) => List(scope, page, caller, db, fresh, time, ct))
            .Needs(permission).Paged<DataExportRow>().WithName($"List{name}Exports").WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        exports.MapGet("/{id}", (Id<DataExport> id, HttpContext http, Caller caller, Journal journal, Answers answers, CancellationToken ct) => Get(scope, id, http, caller, journal, answers, ct))
            .Needs(permission).Answers200<DataExportRow>().WithName($"Get{name}Export").WithExample(response: Example);
        exports.MapGet("/{id}/content", (Id<DataExport> id, HttpContext http, Caller caller, Node node, Journal journal, CancellationToken ct) => Download(scope, id, http, caller, node, journal, ct))
            .Needs(permission).Produces(StatusCodes.Status200OK, contentType: "application/zip").WithName($"Download{name}Export").DisableRequestTimeout();
        exports.MapDelete("/{id}", (Id<DataExport> id, HttpRequest request, Caller caller, Node node, Journal journal, Answers answers, CancellationToken ct) => Delete(scope, id, request, caller, node, journal, answers, ct))
            .Needs(permission).Answers204().WithName($"Delete{name}Export");
    }

    private static async Task<IResult> Read(HttpContext http, Caller caller, Node node, Store.Positions positions, Evaluation evaluation, Journal journal, Freshness fresh, Ids ids, CancellationToken ct)
    {
        // It looks at the whole trail: one at a time for each user and process.
        place.Enter(http, caller.Id);
        await fresh.Of(AuditTrail.Name, ct);
        var content = await ExportContent.Open(node, positions, evaluation, journal, caller.User, ct);
        if (!Edge.IsHead(http)) await journal.Create(ids.New<DataExport>(), new ReadDataExport(ExportScope.User, content.UpTo), ct);
        return new JsonDocumentAnswer(content);
    }

    private static async Task<IResult> Start(
        ExportScope scope, JobDefinition<BundleRequest> definition, Caller caller, Reader db, JobStarts jobs, RequestScope request, TimeProvider time, CancellationToken ct)
    {
        var wish = new BundleRequest(scope, caller.User);
        // A repeated request is answered as it was.
        if (request.Replay is null && await ExportBundles.IsFull(db, wish, time.GetUtcNow(), ct)) throw ExportBundles.TooMany();
        return await jobs.Start(definition, wish, ct);
    }

    private static async Task<IResult> List(ExportScope scope, Paging page, Caller caller, Reader db, Freshness fresh, TimeProvider time, CancellationToken ct)
    {
        await fresh.Of(DataExportList.Name, ct);
        return page.Answer(await DataExportList.Of(db, caller.User, scope, time.GetUtcNow(), page.After, page.Limit, ct));
    }

    private static async Task<IResult> Get(ExportScope scope, Id<DataExport> id, HttpContext http, Caller caller, Journal journal, Answers answers, CancellationToken ct)
    {
        var export = Own(await journal.Load(id, ct), scope, caller);
        if (!export.State.IsReady(journal.Now())) throw Gone();
        return await answers.Found(http, export, export.Row<DataExportRow>(), DataExport.Missing(), ct);
    }

    private static async Task<IResult> Download(ExportScope scope, Id<DataExport> id, HttpContext http, Caller caller, Node node, Journal journal, CancellationToken ct)
    {
        var export = Own(await journal.Load(id, ct), scope, caller).State;
        if (!export.IsReady(journal.Now())) throw Gone();
        var parts = await new SealedFiles(node.Database, node.Subjects, caller.Tenant).Open(id.Value, export.Generation, journal.Now(), ct) ?? throw Gone();
        if (!Edge.IsHead(http)) await journal.Handle(id, new DownloadDataExport(), ct);
        return new Zip(export, parts, $"nubabel-{(scope == ExportScope.User ? "data" : "organization")}-{id.Value:N}.zip");
    }

    private static async Task<IResult> Delete(ExportScope scope, Id<DataExport> id, HttpRequest request, Caller caller, Node node, Journal journal, Answers answers, CancellationToken ct)
    {
        Own(await journal.Load(id, ct), scope, caller);
        var deleted = await journal.Handle(id, new DeleteDataExport(), ct, ETags.IfMatch(request));
        // Behind the event: what a crash leaves is no more to be had, and is deleted when it expires.
        await new SealedFiles(node.Database, node.Subjects, caller.Tenant).Delete(id.Value, ct);
        return answers.Gone(deleted);
    }

    private static Outcome<DataExport> Own(Outcome<DataExport> export, ExportScope scope, Caller caller) =>
        export.State is { Status: ExportStatus.Ready or ExportStatus.Deleted } state && state.Scope == scope && state.Owner == caller.User ? export : throw DataExport.Missing();

    private static Problem Gone() => new("data_export.gone", "The export has expired, was deleted, or its data has been erased.");

    /// <summary>The document as it is made. A failure on the way breaks the connection: half of it must not look whole.</summary>
    private sealed class JsonDocumentAnswer(ExportContent content) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.ContentType = "application/json";
            httpContext.Response.Headers.CacheControl = "no-store";
            httpContext.Response.Headers.ContentDisposition = "attachment; filename=\"nubabel-data.json\"";
            if (Edge.IsHead(httpContext)) return;
            await content.WriteJson(httpContext.Response.Body, () => { }, httpContext.RequestAborted);
        }
    }

    private sealed class Zip(DataExport export, IAsyncEnumerable<ReadOnlyMemory<byte>> parts, string name) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            var response = httpContext.Response;
            response.ContentType = "application/zip";
            response.ContentLength = export.Bytes;
            response.Headers.CacheControl = "no-store";
            response.Headers.ContentDisposition = string.Create(CultureInfo.InvariantCulture, $"attachment; filename=\"{name}\"");
            response.Headers["Repr-Digest"] = $"sha-256=:{Convert.ToBase64String(Convert.FromHexString(export.Sha256))}:";
            if (Edge.IsHead(httpContext)) return;
            await foreach (var part in parts.WithCancellation(httpContext.RequestAborted)) await response.Body.WriteAsync(part, httpContext.RequestAborted);
        }
    }
}

/// <summary>The shape of the document, for the contract: it is written as it is read.</summary>
public sealed record ExportDocument(
    string Format, int Version, ExportScope Scope, string OrganizationId, string? UserId, DateTimeOffset MadeAt, string Position, UserProfile? Profile,
    IReadOnlyList<SessionRow> Sessions, IReadOnlyList<DeviceRow> Devices, IReadOnlyList<JobRow> Jobs, IReadOnlyList<DataExportRow> DataExports,
    IReadOnlyList<HeldMessage> Messages, IReadOnlyList<ExportedFlag> Flags, IReadOnlyList<HeldEntry> AuditTrail);

/// <summary>A flag as it is for the organization.</summary>
public sealed record ExportedFlag(string Key, bool Enabled, FlagReason Reason);
