using System.Globalization;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.ProcessingRecords;
using Nubabel.Projections;
using Nubabel.Projections.Audit;
using Nubabel.Projections.ProcessingRecords;
using Nubabel.Store;

namespace Nubabel.Api.ProcessingRecords;

/// <summary>One event of a record, as its history shows it.</summary>
public sealed record ProcessingRecordChange(long Version, DateTimeOffset At, string? Actor, string Action, JsonElement? Change, string? RequestId);

/// <summary>The record of processing activities (GDPR article 30): each organization's, and the platform's for operators.</summary>
public static class ProcessingRecordsApi
{
    private const string Change = """
        {"version":2,"at":"2026-11-21T08:20:11.004210Z","actor":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","action":"processing_record.archived","change":{},"requestId":"0199a0d4-7c1e"}
        """;

    public static void MapProcessingRecords(this IEndpointRouteBuilder app)
    {
        Map(app, "/api/processing-records", "", "processing-records:read", "processing-records:write", ProcessingTemplates.OfOrganizations);
        Map(app, "/api/admin/processing-records", "Platform", "platform:processing-records", "platform:processing-records-write", ProcessingTemplates.OfThePlatform);
    }

    private static void Map(IEndpointRouteBuilder app, string path, string whose, string read, string write, IReadOnlyList<WantedProcessingRecord> templates)
    {
        var records = app.MapGroup(path).WithTags("Processing records");
        records.MapGet("", List).Needs(read).Paged<ProcessingRecordView>().WithName($"List{whose}ProcessingRecords").WithExample(response: $$"""{"items":[{{ProcessingRecordView.Example}}],"next":null}""");
        records.MapPost("", (Body<WantedProcessingRecord> body, RequestScope scope, Node node, Answers answers, CancellationToken ct) => Create(path, body, scope, node, answers, ct))
            .Needs(write).Answers201<ProcessingRecordView>().WithName($"Create{whose}ProcessingRecord").WithExample(WantedProcessingRecord.Example, ProcessingRecordView.Example);
        records.MapGet("/templates", () => Results.Json(new Listed<WantedProcessingRecord>(templates), Json.Options)).Needs(read).Answers200<Listed<WantedProcessingRecord>>()
            .WithName($"List{whose}ProcessingTemplates").WithExample(response: $$"""{"items":[{{WantedProcessingRecord.Example}}]}""");
        records.MapGet("/export", ProcessingRecordExport.Answer).Needs(read).Produces<IReadOnlyList<ProcessingRecordView>>().WithName($"Export{whose}ProcessingRecords").DisableRequestTimeout()
            .WithExample(response: $"[{ProcessingRecordView.Example}]");
        records.MapGet("/{id}", Get).Needs(read).Answers200<ProcessingRecordView>().WithName($"Get{whose}ProcessingRecord").WithExample(response: ProcessingRecordView.Example);
        records.MapPut("/{id}", Revise).Needs(write).Answers200<ProcessingRecordView>().WithName($"Revise{whose}ProcessingRecord").WithExample(WantedProcessingRecord.Example, ProcessingRecordView.Example);
        records.MapDelete("/{id}", Archive).Needs(write).Answers204().WithName($"Archive{whose}ProcessingRecord");
        records.MapPut("/{id}/restoration", Restore).Needs(write).Answers200<ProcessingRecordView>().WithName($"Restore{whose}ProcessingRecord").WithExample(response: ProcessingRecordView.Example);
        records.MapGet("/{id}/history", History).Needs(read).Paged<ProcessingRecordChange>().WithName($"List{whose}ProcessingRecordHistory").WithExample(response: $$"""{"items":[{{Change}}],"next":null}""");
    }

    private static async Task<IResult> List(Paging page, bool? archived, Reader db, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(ProcessingRecordList.Name, ct);
        return page.Answer(await ProcessingRecordList.Of(db, archived ?? false, ProcessingRecordView.Of, page.After, page.Limit, ct));
    }

    private static async Task<IResult> Create(string path, Body<WantedProcessingRecord> body, RequestScope scope, Node node, Answers answers, CancellationToken ct)
    {
        var id = scope.Ids.New<ProcessingRecord>();
        var record = await scope.Journal.Create(id, new CreateProcessingRecord(await Described(body.Value, id, scope.Caller, node, ct)), ct);
        return await answers.Created(record, View(record), $"{path}/{id}", ct);
    }

    private static async Task<IResult> Get(Id<ProcessingRecord> id, At at, HttpContext http, Journal journal, Answers answers, CancellationToken ct) =>
        await answers.Found(http, await journal.Load(id, ct), at, View, ProcessingRecord.Missing(), ct);

    private static async Task<IResult> Revise(Id<ProcessingRecord> id, Body<WantedProcessingRecord> body, HttpRequest request, RequestScope scope, Node node, Answers answers, CancellationToken ct)
    {
        // Before anything is sealed: a key is made for what is there alone.
        if ((await scope.Journal.Load(id, ct)).Version == 0) throw ProcessingRecord.Missing();
        var record = await scope.Journal.Handle(id, new ReviseProcessingRecord(await Described(body.Value, id, scope.Caller, node, ct)), ct, ETags.IfMatch(request));
        return await answers.Changed(record, View(record), ct);
    }

    private static async Task<IResult> Archive(Id<ProcessingRecord> id, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        answers.Gone(await journal.Handle(id, new ArchiveProcessingRecord(), ct, ETags.IfMatch(request)));

    private static async Task<IResult> Restore(Id<ProcessingRecord> id, HttpRequest request, Journal journal, Answers answers, CancellationToken ct)
    {
        var record = await journal.Handle(id, new RestoreProcessingRecord(), ct, ETags.IfMatch(request));
        return await answers.Changed(record, View(record), ct);
    }

    /// <summary>All that the record ever said, newest first.</summary>
    private static async Task<IResult> History(Id<ProcessingRecord> id, Paging page, Reader db, Journal journal, CancellationToken ct)
    {
        var before = page.After is [var version] ? long.Parse(version, CultureInfo.InvariantCulture) : long.MaxValue;
        var all = await journal.Load(id, ct);
        if (all.Version == 0) throw ProcessingRecord.Missing();
        var changes = (await all.Events(ct)).Where(e => e.Version < before).Reverse().Take(page.Limit + 1).Select(e => new ProcessingRecordChange(
            e.Version, e.At, e.Actor, AuditTrail.ActionOf(e.Type, e.Stream), e.Data is null ? null : JsonSerializer.SerializeToElement(e.Data, e.Data.GetType(), StoredJson.Options), e.CorrelationId)).ToArray();
        return page.Answer(await Page.Open(db, changes, page.Limit, change => change, change => [change.Version.ToString(CultureInfo.InvariantCulture)], ct));
    }

    private static async Task<ProcessingDescription> Described(WantedProcessingRecord wish, Id<ProcessingRecord> id, Caller caller, Node node, CancellationToken ct) =>
        wish.With(wish.Contact is { } contact ? await node.Seal(caller.Tenant, Streams.Of(id), contact.Value, ct) : null);

    private static ProcessingRecordView? View(Outcome<ProcessingRecord> record) =>
        record.Row<ProcessingRecordRow>() is { } row ? ProcessingRecordView.Of(row) : null;
}
